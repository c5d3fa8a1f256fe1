"""Score a holdout with one model, in the model's own environment.

A standalone script: `python score.py REQUEST`, where REQUEST is a JSON file. It runs under whatever
Python (3.8 and later), MLflow (2 and later) and libraries the model was logged with, so it imports
nothing of ame-flows and nothing at the top that the model's environment could lack.

REQUEST: {"model": folder, "data": parquet file, "features": [names] or null, "output": parquet file,
"task": "binary", "multiclass" or "regression", "classes": [labels] or null}. The output has one column
`score`, in the order of the rows:

- binary: float64, the probability of the positive class where the model tells one, else what it predicts;
- multiclass: a list of float64, the probability of each class, in the order of `classes` where these are
  given, else in the model's own, which the file's metadata then name (`classes`, as JSON);
- regression: float64, what the model predicts.
"""

import json
import sys
from typing import Any, Callable, List, Optional, Tuple

ROWS = 100_000


def main(request_file: str) -> None:
    with open(request_file) as file:
        request = json.load(file)
    import numpy
    import pyarrow
    import pyarrow.parquet

    task, classes = request.get("task", "binary"), request.get("classes")
    predict, told = load(request["model"], task)
    order = order_of(told, classes)
    source = pyarrow.parquet.ParquetFile(request["data"])
    kind = pyarrow.float64()
    done, writer = 0, None
    for batch in source.iter_batches(ROWS, columns=request["features"]):
        frame = batch.to_pandas()
        if request["features"]:
            frame = frame[request["features"]]
        column = column_of(numpy.asarray(predict(frame)), len(frame), task, classes or told, order)
        kind = column.type
        if writer is None:
            schema = schema_of(kind, classes or told)
            writer = pyarrow.parquet.ParquetWriter(request["output"], schema)
        writer.write_table(pyarrow.Table.from_arrays([column], schema=schema))
        done += len(frame)
        print("scored %d of %d rows" % (done, source.metadata.num_rows))
    if writer is None:
        if task == "multiclass":
            kind = pyarrow.list_(pyarrow.float64(), len(classes or told or [0, 1]))
        writer = pyarrow.parquet.ParquetWriter(request["output"], schema_of(kind, classes or told))
    writer.close()


def column_of(predicted: Any, rows: int, task: str, classes: Optional[List[Any]], order: Any) -> Any:
    """What a model answers for some rows as an Arrow column of scores; `order` is that of `order_of`."""
    import pyarrow

    if task == "multiclass":
        scores = to_probabilities(predicted, rows, classes)[:, order]
        flat = pyarrow.array(scores.astype("float64").ravel())
        return pyarrow.FixedSizeListArray.from_arrays(flat, scores.shape[1])
    scores = to_scores(predicted, rows) if task == "binary" else to_numbers(predicted, rows)
    return pyarrow.array(scores.astype("float64"))


def schema_of(kind: Any, classes: Optional[List[Any]]) -> Any:
    import pyarrow

    metadata = (
        {"classes": json.dumps(classes, default=str)} if classes and pyarrow.types.is_nested(kind) else None
    )
    return pyarrow.schema([("score", kind)], metadata=metadata)


def load(folder: str, task: str = "binary") -> Tuple[Callable[[Any], Any], Optional[List[Any]]]:
    """The model's function from a frame to what the task asks for, and its classes where it tells them.

    That is probabilities where the model has them and the task is no regression, else predictions.
    """
    import mlflow.pyfunc

    model = mlflow.pyfunc.load_model(folder)
    raw: Any = None if task == "regression" else raw_model(model, folder)
    if hasattr(raw, "predict_proba"):
        classes = getattr(raw, "classes_", None)
        # Its one column would be 1 for every row, whichever class that is.
        if classes is not None and len(classes) == 1:
            raise SystemExit("the model knows one class only, %s, and cannot be compared" % classes[0])
        probabilities: Callable[[Any], Any] = raw.predict_proba
        return probabilities, None if classes is None else [
            getattr(c, "item", lambda c=c: c)() for c in classes
        ]
    predictions: Callable[[Any], Any] = model.predict
    return predictions, None


def raw_model(model: Any, folder: str) -> Any:
    """What MLflow's function wraps, or None where its flavor does not tell."""
    try:
        return model.get_raw_model()
    except (AttributeError, NotImplementedError):
        if "sklearn" not in model.metadata.flavors:
            return None
    import mlflow.sklearn

    return mlflow.sklearn.load_model(folder)


def order_of(told: Optional[List[Any]], wanted: Optional[List[Any]]) -> Any:
    """Which of the model's columns each wanted class is; all of them where nothing is known or wanted."""
    if not told or not wanted:
        return slice(None)
    if len(told) != len(wanted) or any(label not in told for label in wanted):
        raise SystemExit(
            "the model tells the classes %s, and those of the A/B test are %s; name the model's own, numbers "
            "without quotes and texts with them." % (shown(told), shown(wanted))
        )
    return [told.index(label) for label in wanted]


def shown(classes: List[Any]) -> str:
    return ", ".join(repr(label) for label in classes[:10]) + (", ..." if len(classes) > 10 else "")


def to_scores(predicted: Any, rows: int) -> Any:
    """One number a row: the last of two columns (the positive class), or the single column."""
    if predicted.ndim == 2 and predicted.shape[1] == 2 and len(predicted) == rows:
        return predicted[:, 1]
    return to_numbers(predicted, rows, "two classes, or one number a row, can be compared")


def to_numbers(predicted: Any, rows: int, wanted: str = "one number a row can be compared") -> Any:
    """One number a row, also where it stands in a column of its own."""
    if predicted.ndim == 2 and predicted.shape[1] == 1:
        predicted = predicted[:, 0]
    if predicted.ndim != 1 or len(predicted) != rows:
        refuse(predicted, rows, wanted)
    return predicted


def to_probabilities(predicted: Any, rows: int, classes: Optional[List[Any]]) -> Any:
    """One column a class."""
    wanted = "a probability for each of %s is needed" % (
        "%d classes" % len(classes) if classes else "two or more classes"
    )
    if predicted.ndim != 2 or len(predicted) != rows or predicted.shape[1] < 2:
        refuse(predicted, rows, wanted)
    if classes and predicted.shape[1] != len(classes):
        refuse(predicted, rows, wanted)
    return predicted


def refuse(predicted: Any, rows: int, wanted: str) -> None:
    raise SystemExit(
        "the model answers %d rows with the shape %s; %s." % (rows, tuple(predicted.shape), wanted)
    )


if __name__ == "__main__":
    # The folder of this script is not the model's: its own modules may be called as those beside us.
    del sys.path[0]
    main(sys.argv[1])
