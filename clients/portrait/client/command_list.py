"""Commands of `portrait` in groups, with their lines in `portrait --help`.

The help is printed from this list because importing every command to read its help would take a second. A test compares
the list with the commands' own help.
"""

OTHER_COMMANDS = "Other commands"
GROUPS: dict[str, dict[str, str]] = {
    "Prepare and train": {
        "prepare": "Clean a log and write it as a data set for training.",
        "train": "Fine-tune a shopper-profile model.",
        "unlearn": "Train the next run without forgotten shoppers, from the weights of the run before.",
        "tune": "Search hyper-parameters; trials are compared by validation only.",
        "train-traits": "Train declared traits as heads of a run's profile model; they replace earlier ones.",
        "label-traits": "Write what came true of declared traits at the end of a log, for `portrait check-traits`.",
        "evaluate": "Measure a run on held-out events, beside simple baselines that were tuned on validation.",
        "report": "Write a page on the quality of a run: ranking, calibration, slices, examples, limits.",
        "audit-fairness": "Compare groups of test shoppers: ranking, exposure, calibration and traits, by what they "
        "declared.",
    },
    "Release and serve": {
        "export": "Make a release of a run: ONNX graphs, checked against the model in ONNX Runtime and Triton, and "
        "item index.",
        "serve": "Serve a release over gRPC, until SIGTERM or SIGINT.",
        "release": "Choose which release serves whom: list, promote, roll back, try on some shoppers.",
        "rules": "Check the shop's rules for recommendations.",
        "topics": "Check the list of sensitive topics.",
        "index-release": "Bring the items of a release into Milvus, so that gateways with --index-url can load it.",
        "build-audience-table": "Build or update the audience table, in which audiences are found.",
        "check-traits": "Compare what traits stated with what came true, for the review queue.",
        "export-deletions": "Print the forgotten shoppers, for `portrait prepare --deletions`.",
        "doctor": "Check the machine, the configuration and running gateways, and say what is wrong.",
        "backup": "Write a backup of the state file, while gateways go on using it.",
        "restore": "Put a backup in the place of the state file, without the shoppers who were forgotten since it was "
        "made.",
        "migrate-state": "Copy the state from a file to a Redis, or from a Redis to a file.",
        "loadtest": "Load a gateway with calls from real visits, by k6; fails if responses are late, wrong or too few.",
    },
    "Query a gateway": {
        "profile": "Print the profile of a shopper.",
        "profiles": "Print one line for each shopper: the profile in short, or the error.",
        "recommend": "Recommend items to a shopper.",
        "shelf": "Print items of one kind, such as those that are often bought together, with the reason for each.",
        "rank": "Rank candidates for a shopper.",
        "explain": "Explain a score or a profile: the effect of each event, and of each word of the item's title.",
        "audience": "Find or count the shoppers who meet all criteria.",
        "encode": "Print the embedding of each line as JSON lines.",
    },
    "Write to a gateway": {
        "record": "Record the events of a log.",
        "ingest": "Record the events of a stream, until SIGTERM or SIGINT.",
        "upsert": "Add items to a catalogue, or replace them.",
        "item": "Get or delete items of a catalogue.",
    },
    "Consent and privacy": {
        "consent": "Record a shopper's consents; without --grant and --withdraw, print permissions and decisions.",
        "set-demographics": "Replace the demographics that a shopper has declared.",
        "identity": "Change the links of a login, or its household; without options, print all ids of a shopper and "
        "the household.",
        "household": "Print the members of a household.",
        "events": "List a shopper's recorded events under all linked ids, the newest first.",
        "review": "Block, correct, pin or keep an interest, a trait, an item or a rule, and list what wants a review.",
        "export-shopper": "Print everything that is recorded of a shopper, as one JSON document.",
        "forget": "Delete everything that is recorded of a shopper, for good.",
        "audit": "Check an audit log, or print its lines: who did what for which shopper, and why.",
    },
}
