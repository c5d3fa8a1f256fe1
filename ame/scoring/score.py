"""Score a holdout with one model, in the model's own environment.

A standalone script: `python score.py REQUEST`, where REQUEST is a JSON file. It runs under whatever
Python (3.8 and later), MLflow (2 and later) and libraries the model was logged with, so it imports
nothing of ame-flows and nothing at the top that the model's environment could lack.

REQUEST: {"model": folder, "data": parquet file, "features": [names] or null, "output": parquet file}.
The output has one column `score`, float64, in the order of the rows: the probability of the positive
class where the model tells one, else what it predicts.
"""

import json
import sys
from typing import Any, Callable

ROWS = 100_000


def main(request_file: str) -> None:
    with open(request_file) as file:
        request = json.load(file)
    import numpy
    import pyarrow
    import pyarrow.parquet

    predict = load(request["model"])
    source = pyarrow.parquet.ParquetFile(request["data"])
    schema = pyarrow.schema([("score", pyarrow.float64())])
    done = 0
    with pyarrow.parquet.ParquetWriter(request["output"], schema) as writer:
        for batch in source.iter_batches(ROWS, columns=request["features"]):
            frame = batch.to_pandas()
            if request["features"]:
                frame = frame[request["features"]]
            scores = to_scores(numpy.asarray(predict(frame)), len(frame))
            writer.write_table(pyarrow.table({"score": scores.astype("float64")}, schema))
            done += len(frame)
            print("scored %d of %d rows" % (done, source.metadata.num_rows))


def load(folder: str) -> Callable[[Any], Any]:
    """The model's function from a frame to probabilities where it has one, else to predictions."""
    import mlflow.pyfunc

    model = mlflow.pyfunc.load_model(folder)
    raw = raw_model(model, folder)
    if hasattr(raw, "predict_proba"):
        # Its one column would be 1 for every row, whichever class that is.
        if len(getattr(raw, "classes_", "01")) == 1:
            raise SystemExit("the model knows one class only, %s, and cannot be compared" % raw.classes_[0])
        probabilities: Callable[[Any], Any] = raw.predict_proba
        return probabilities
    predictions: Callable[[Any], Any] = model.predict
    return predictions


def raw_model(model: Any, folder: str) -> Any:
    """What MLflow's function wraps, or None where its flavor does not tell."""
    try:
        return model.get_raw_model()
    except (AttributeError, NotImplementedError):
        if "sklearn" not in model.metadata.flavors:
            return None
    import mlflow.sklearn

    return mlflow.sklearn.load_model(folder)


def to_scores(predicted: Any, rows: int) -> Any:
    """One number a row: the last of two columns (the positive class), or the single column."""
    if predicted.ndim == 2 and predicted.shape[1] == 1:
        predicted = predicted[:, 0]
    if predicted.ndim == 2 and predicted.shape[1] == 2:
        predicted = predicted[:, 1]
    if predicted.ndim != 1 or len(predicted) != rows:
        raise SystemExit(
            "the model answers %d rows with the shape %s; two classes, or one number a row, can be compared."
            % (rows, predicted.shape)
        )
    return predicted


if __name__ == "__main__":
    # The folder of this script is not the model's: its own modules may be called as those beside us.
    del sys.path[0]
    main(sys.argv[1])
