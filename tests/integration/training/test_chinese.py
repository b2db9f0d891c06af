"""Chinese from log to answers: a made-up shop always, and Amazon.cn's ratings where they are."""

import csv
import json
import os
import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest
from support.gateway import RunningGateway, run_gateway
from typer import Typer
from typer.testing import CliRunner

from portrait.client import commands as client
from portrait.export.commands import export
from portrait.features.text.keywords import extract_keywords
from portrait.features.text.tokenizer import TextTokenizer
from portrait.training.commands import prepare
from portrait.training.dataset import corpus as corpora
from portrait.training.encoders.base_model import load_tokenizer
from portrait.training.enums import Preset
from portrait.training.run import run as runs
from portrait.training.run.evaluation import evaluate_run
from portrait.training.run.untrained_model import MAX_UNKNOWN_TOKEN_SHARE
from portrait.training.settings import TrainSettings

REAL = Path(os.environ.get("PORTRAIT_TEST_DATA", "")) / "amazon-cn-zh-ratings"
KINDS = {"茶具": ("茶壶", "茶杯", "茶盘"), "灯具": ("台灯", "吊灯", "夜灯"), "文具": ("钢笔", "笔记本", "书签")}
COLOURS = ("青色", "白色", "红色", "黑色")


def _made_up(folder: Path) -> Path:
    """A log of shoppers who each stay with one category, and search for it in Chinese."""
    drawn = random.Random(0)
    folder.mkdir()
    titles = {
        f"{kind}-{colour}": (category, f"竹里馆ZLG {colour}{kind}（{number}件装）")
        for category, kinds in KINDS.items()
        for number, kind in enumerate(kinds, 1)
        for colour in COLOURS
    }
    with (folder / "items.jsonl").open("w", encoding="utf-8") as items:
        for item_id, (category, title) in titles.items():
            item = {"item_id": item_id, "title": title, "category_path": ["家居", category]}
            items.write(json.dumps(item, ensure_ascii=False) + "\n")
    with (folder / "events.csv").open("w", newline="", encoding="utf-8") as file:
        log = csv.writer(file)
        log.writerow(["event_id", "shopper_id", "type", "time", "item_id", "query"])
        for shopper in range(60):
            category = list(KINDS)[shopper % len(KINDS)]
            own = [item_id for item_id, (wanted, _) in titles.items() if wanted == category]
            time = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(hours=shopper)
            for number, item_id in enumerate(drawn.sample(own, 9)):
                time += timedelta(hours=3)
                kind, row = drawn.choice([("view", [item_id, ""]), ("search", ["", f"{category} {item_id[:2]}"])])
                log.writerow([f"{shopper}-{number}", f"s{shopper}", kind, time.isoformat(), *row])
                log.writerow([f"{shopper}-{number}-p", f"s{shopper}", "purchase", time.isoformat(), item_id, ""])
    return folder


def _write_bert(folder: Path, texts: list[str]) -> Path:
    """Write an untrained BERT of one small layer that reads these texts' characters, as bert-base-chinese does."""
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
    from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

    characters = sorted({character for text in texts for character in text.lower() if not character.isspace()})
    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", *characters, *(f"##{character}" for character in characters)]
    vocabulary = {piece: place for place, piece in enumerate(pieces)}
    tokenizer = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(handle_chinese_chars=True, lowercase=True, strip_accents=False)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, pad_token="[PAD]", unk_token="[UNK]").save_pretrained(folder)
    config = BertConfig(
        vocab_size=len(vocabulary), hidden_size=32, num_hidden_layers=1, num_attention_heads=2, intermediate_size=64,
        max_position_embeddings=64,
    )  # fmt: skip
    BertModel(config).save_pretrained(folder)
    return folder


def _invoke(command: object, *arguments: object, **environment: str) -> str:
    app = Typer()
    app.command()(command)
    result = CliRunner(env=environment).invoke(app, [str(argument) for argument in arguments])
    assert result.exit_code == 0, result.output
    return result.output


@pytest.fixture(scope="module", params=["made up", "amazon-cn"])
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a prepared Chinese source (`data`) and of a run trained on it (`run`)."""
    if request.param == "amazon-cn" and not REAL.is_dir():
        pytest.skip("no amazon-cn-zh-ratings in PORTRAIT_TEST_DATA")
    folder = tmp_path_factory.mktemp("chinese")
    source = REAL if request.param == "amazon-cn" else _made_up(folder / "log")
    _invoke(prepare, source, folder / "data")
    bert = _write_bert(folder / "bert", corpora.load_corpus(folder / "data").texts)
    settings = TrainSettings.from_preset(
        Preset.QUICK,
        base_model=str(bert),
        dimension=16,
        max_epochs=2,
        max_steps=120,
        batch_events=512,
        frozen_bert_share=0.5,
    )
    runs.train_run(folder / "data", folder / "run", settings)
    return folder


@pytest.fixture(scope="module")
def gateway(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningGateway]:
    repository = tmp_path_factory.mktemp("model_repository")
    _invoke(export, folder / "run", "--repository", repository)
    with run_gateway(repository, tmp_path_factory.mktemp("gateway")) as served:
        yield served


def test_a_vocabulary_of_its_language_knows_what_the_default_does_not(folder: Path) -> None:
    texts = corpora.load_corpus(folder / "data").texts
    assert TextTokenizer.load(folder / "run" / "tokenizer.json").unknown_token_share(texts) == 0.0
    assert load_tokenizer(TrainSettings().base_model).unknown_token_share(texts) > MAX_UNKNOWN_TOKEN_SHARE


def test_every_title_has_keywords_that_stand_in_it(folder: Path) -> None:
    for title in pl.read_parquet(folder / "data" / "items.parquet")["title"].to_list():
        words = [word.surface for word in extract_keywords(title)]
        assert words, title
        assert all(not word.isdecimal() for word in words)


def test_it_is_evaluated(folder: Path) -> None:
    measured = evaluate_run(folder / "run", None, None)
    assert 0.0 < measured["ranking"]["portrait"]["HR@10"]["value"] <= 1.0


def test_it_is_served(folder: Path, gateway: RunningGateway, tmp_path: Path) -> None:
    items = pl.read_parquet(folder / "data" / "items.parquet")
    bought = items.row(0, named=True)
    log = tmp_path / "events.csv"
    now = datetime.now(UTC).isoformat()
    query = extract_keywords(bought["title"])[0].surface
    words = {word.surface for word in extract_keywords(bought["title"])}
    with log.open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)
        rows.writerow(["shopper_id", "event_id", "type", "time", "item_id", "query"])
        rows.writerow(["new", "1", "search", now, "", query])
        rows.writerow(["new", "2", "purchase", now, bought["item_id"], ""])
    to = {"PORTRAIT_ADDRESS": gateway.address, "COLUMNS": "200"}
    assert "2 accepted" in _invoke(client.record, log, **to)
    profile = json.loads(_invoke(client.profile, "new", "--json", **to))
    assert profile["keywords"]
    assert {keyword["word"] for keyword in profile["keywords"]} <= words
    # Full-width letters and simplified Chinese in one query.
    asked = json.loads(_invoke(client.recommend, "new", "--query", "ＺＬＧ 红色台灯", "--k", "5", "--json", **to))
    assert len(asked["items"]) == 5
