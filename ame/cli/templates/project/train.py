"""Trains a model and registers it; plain MLflow, which finds its server in the environment."""

import os

import mlflow
import mlflow.sklearn
import pandas as pd
from mlflow.models import infer_signature
from sklearn.ensemble import RandomForestClassifier
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import train_test_split

data = pd.read_parquet("data/training.parquet")
label = data.pop("malignant")
fit, check, fit_label, check_label = train_test_split(data, label, random_state=0, stratify=label)

trees = int(os.environ.get("TREES", "3"))
with mlflow.start_run():
    model = RandomForestClassifier(n_estimators=trees, random_state=0).fit(fit, fit_label)
    mlflow.log_param("trees", trees)
    mlflow.log_metric("roc_auc", roc_auc_score(check_label, model.predict_proba(check)[:, 1]))
    mlflow.sklearn.log_model(
        model,
        name="model",
        registered_model_name="tumor",
        signature=infer_signature(data.head(), model.predict(data.head())),
        serialization_format="cloudpickle",  # the default format refuses a forest
        pip_requirements="requirements.txt",  # the A/B test scores this version with just these
    )
