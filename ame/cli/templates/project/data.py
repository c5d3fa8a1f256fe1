"""Makes both data sets: scikit-learn's breast cancer data, split in two."""

from pathlib import Path

from sklearn.datasets import load_breast_cancer
from sklearn.model_selection import train_test_split

frame = load_breast_cancer(as_frame=True).frame
frame["malignant"] = 1 - frame.pop("target")
frame.columns = [name.replace(" ", "_") for name in frame.columns]
training, holdout = train_test_split(frame, test_size=0.5, random_state=0, stratify=frame["malignant"])
Path("data").mkdir(exist_ok=True)
training.to_parquet("data/training.parquet", index=False)
holdout.to_parquet("data/holdout.parquet", index=False)
