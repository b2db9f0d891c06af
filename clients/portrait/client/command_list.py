"""Commands of `portrait` in groups, with what the list of `portrait --help` says of each.

The list is made of this, as loading every part to read it there would take a second. A test holds it equal to the
commands' own help.
"""

OTHERS = "Further commands"
GROUPS: dict[str, dict[str, str]] = {
    "Learn from logs": {
        "prepare": "Clean logs into one canonical data set.",
        "train": "Fine-tune a shopper-profile model.",
        "tune": "Search for better hyper-parameters, judged by validation alone.",
        "train-traits": "Learn declared traits as heads of a run's profile model; those that it had are replaced.",
        "evaluate": "Measure a run on the events it has not seen, against popularity.",
        "report": "Write what a run is worth as one HTML page: ranking, calibration, slices, examples, limits.",
    },
    "Run a gateway": {
        "export": "Make a release of a run: ONNX graphs, checked against the model in ONNX Runtime and Triton, and "
        "item index.",
        "serve": "Serve a release over gRPC, until SIGTERM or SIGINT.",
        "release": "Which release serves whom: list, promote, roll back, try on some shoppers.",
        "build-audience-table": "Make the shopper table that audiences are found in, or bring it up to date.",
        "export-deletions": "Print who was forgotten, for `portrait prepare --deletions`.",
        "loadtest": "Load a gateway by k6 with calls as your shoppers make them; fails where answers are late, wrong "
        "or too few.",
    },
    "Ask a gateway": {
        "profile": "Print what a shopper's history says.",
        "profiles": "Print the profiles of many shoppers, a line for each, or why there is none.",
        "recommend": "Recommend items to a shopper.",
        "rank": "Put candidates in order for a shopper.",
        "explain": "Say why: what each event, and each word of the item's title, adds.",
        "audience": "Shoppers who meet all of what the options ask for.",
        "encode": "Print the embedding of each line, as JSON lines.",
    },
    "Tell a gateway": {
        "record": "Record the events of a log.",
        "upsert": "Add items to a catalogue, or replace them.",
        "item": "Items of a catalogue: get and delete.",
    },
    "Honour what shoppers say": {
        "consent": "Record what a shopper allows; without --grant and --withdraw, print it, and all that they said.",
        "set-demographics": "Keep what a shopper declares of themselves, in place of what they declared before.",
        "forget": "Remove all that is recorded of a shopper, for good.",
    },
}
