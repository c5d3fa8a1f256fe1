"""Learns with Spark ML which card payments are fraud; RECIPE says from what.

amount    the payment alone: how large, when, how far from home, at what kind of terminal
history   also what the last weeks tell: the card's usual amount, the frauds reported at the terminal
pace      also the minutes since the card's last payment

The first is a logistic regression, the others are random forests.

SEED chooses the ordinary payments that it learns from: one in ten, counted ten times, beside all frauds. One
customer in five takes no part in the fit; the metrics that the run logs are theirs.
"""

import os
import sys
import tempfile

import mlflow
from local_spark import open_spark
from mlflow.models import infer_signature
from pyspark.ml import Pipeline
from pyspark.ml.classification import LogisticRegression, RandomForestClassifier
from pyspark.ml.evaluation import BinaryClassificationEvaluator
from pyspark.ml.feature import OneHotEncoder, StringIndexer, VectorAssembler
from pyspark.sql import DataFrame
from pyspark.sql import functions as f

MODEL = "card-fraud"
AMOUNT = ["amount", "hour", "distance"]
HISTORY = [*AMOUNT, "amount_ratio", "terminal_reports"]
RECIPES = {"amount": AMOUNT, "history": HISTORY, "pace": [*HISTORY, "minutes_since_last"]}
ONE_IN = 10


def main() -> None:
    recipe = os.environ.get("RECIPE", "history")
    seed = int(os.environ.get("SEED", "0"))
    if recipe not in RECIPES:
        sys.exit(f"RECIPE is {recipe!r}; known are {', '.join(RECIPES)}.")
    spark = open_spark(f"train {MODEL}")
    history = spark.read.parquet("data/history")
    fitted_on, judged_on = split(history)

    model = pipeline(recipe, seed).fit(thinned(fitted_on, seed))
    metrics = judge(model.transform(judged_on))

    columns = ["terminal_group", *RECIPES[recipe]]
    inputs, outputs = history.select(columns), model.transform(history).select("prediction")
    first, last = history.agg(f.min("time"), f.max("time")).first()
    with mlflow.start_run(run_name=f"{recipe}, seed {seed}, up to {last:%Y-%m-%d}"):
        mlflow.log_params({"recipe": recipe, "seed": seed, "first": first, "last": last})
        mlflow.log_metrics(metrics)
        with tempfile.TemporaryDirectory() as scratch:
            mlflow.spark.log_model(
                model,
                "model",
                registered_model_name=MODEL,
                signature=infer_signature(inputs, outputs),
                # The file that made this environment: the model is scored with the same versions.
                pip_requirements="requirements.txt",
                dfs_tmpdir=scratch,
            )
    print(", ".join(f"{name} {value:.4f}" for name, value in metrics.items()))
    spark.stop()


def pipeline(recipe: str, seed: int) -> Pipeline:
    index = StringIndexer(inputCol="terminal_group", outputCol="group_index", handleInvalid="keep")
    one_hot = OneHotEncoder(inputCol="group_index", outputCol="group_is")
    together = VectorAssembler(inputCols=[*RECIPES[recipe], "group_is"], outputCol="features")
    if recipe == "amount":
        learner = LogisticRegression(maxIter=50, regParam=1e-4)
    else:
        learner = RandomForestClassifier(
            numTrees=30, maxDepth=6, minInstancesPerNode=10, featureSubsetStrategy="onethird", seed=seed
        )
    learner.setLabelCol("fraud").setWeightCol("weight")
    return Pipeline(stages=[index, one_hot, together, learner])


def split(history: DataFrame) -> tuple[DataFrame, DataFrame]:
    """The payments of four in five customers, and those of the fifth."""
    return history.where("customer % 5 != 0"), history.where("customer % 5 = 0")


def thinned(payments: DataFrame, seed: int) -> DataFrame:
    """All frauds and one in ten other payments, whose `weight` makes up for those that are left out."""
    drawn = f.pmod(f.xxhash64("transaction", f.lit(seed)), f.lit(ONE_IN)) == 0
    weight = f.when(f.col("fraud") == 1, 1.0).otherwise(float(ONE_IN))
    return payments.where((f.col("fraud") == 1) | drawn).withColumn("weight", weight).cache()


def judge(scored: DataFrame) -> dict[str, float]:
    names = {"roc_auc": "areaUnderROC", "area_under_pr": "areaUnderPR"}
    scored = scored.select("fraud", "rawPrediction").cache()
    return {
        name: BinaryClassificationEvaluator(labelCol="fraud", metricName=area).evaluate(scored)
        for name, area in names.items()
    }


if __name__ == "__main__":
    main()
