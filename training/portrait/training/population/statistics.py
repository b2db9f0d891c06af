"""All statistics of a release, in one place."""

import dataclasses

import numpy as np

from portrait.features.candidates.associations import Associations
from portrait.features.candidates.relations import Relations
from portrait.features.histories.history_arrays import SECONDS_PER_DAY
from portrait.features.population.population import Population
from portrait.features.population.profile_distribution import ProfileDistribution
from portrait.features.release import layout as release_layout
from portrait.training.dataset.splits import Holdout, hold_out
from portrait.training.encoders.retrieval import encode_targets
from portrait.training.population import cycles, interest_dynamics, sessions, spending
from portrait.training.population.taxonomy import Taxonomy
from portrait.training.run.folder import TRAIN_ONLY_FOLDER
from portrait.training.run.run import TrainedRun

MAX_PROFILES = 5_000


@dataclasses.dataclass(frozen=True)
class EstimationBasis:
    """Inputs of a run's statistics; never an event of the test."""

    holdout: Holdout
    """Hold-out of the run; for a refit, that of its first run, which has not learnt from the validation."""
    associations: Associations
    """Fitted without the validation."""

    @classmethod
    def of(cls, trained: TrainedRun) -> "EstimationBasis":
        """The basis of a run."""
        if not trained.settings.refit:
            return cls(trained.holdout, trained.relations.association)
        before = trained.folder / TRAIN_ONLY_FOLDER / release_layout.RELATIONS
        return cls(hold_out(trained.corpus, trained.settings.split), Relations.load(before).association)


def estimate_population(trained: TrainedRun) -> Population:
    """Estimate the statistics of a run."""
    corpus, basis, seed = trained.corpus, EstimationBasis.of(trained), trained.settings.seed
    train, taxonomy = basis.holdout.train, Taxonomy.of(trained.corpus)
    time = corpus.columns.time[train]
    timed = bool(len(time)) and not np.isnan(time).any()
    return Population(
        window_days=float(np.ptp(time)) / SECONDS_PER_DAY if timed else 0.0,
        interest_dynamics=interest_dynamics.fit_interest_dynamics(
            corpus, taxonomy, train, basis.holdout.validation, basis.associations, seed
        ),
        brand_shares=spending.brand_shares(corpus, train),
        session_gap_minutes=sessions.estimate_session_gap(corpus, train, seed),
        times_are_days=sessions.times_are_days(corpus),
        purchase_cycles=cycles.fit_cycles(corpus, taxonomy, train, seed) if timed else None,
        spending=spending.fit_spending(corpus, train),
        paid_prices=spending.fit_paid_prices(corpus, train),
        discounted_shares=spending.discounted_shares(corpus, train),
    )


def estimate_profile_distribution(trained: TrainedRun) -> ProfileDistribution:
    """Mean and covariance of the shoppers' profiles at the time of the validation."""
    targets = interest_dynamics.sample_targets(EstimationBasis.of(trained).holdout.validation, trained.settings.seed)[
        :MAX_PROFILES
    ]
    vectors = encode_targets(trained.model, trained.cache, trained.corpus, targets, trained.index.vectors)
    covariance = np.cov(vectors.profiles.astype(np.float64), rowvar=False)
    return ProfileDistribution(vectors.profiles.mean(0), covariance.astype(np.float32), vectors.items.mean(0))
