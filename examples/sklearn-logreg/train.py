import mlflow
import mlflow.sklearn
import numpy as np
from sklearn.linear_model import LogisticRegression

if __name__ == "__main__":
    X = np.array([-2, -1, 0, 1, 2, 1]).reshape(-1, 1)
    y = np.array([0, 0, 1, 1, 1, 0])
    lr = LogisticRegression()
    lr.fit(X, y)
    score = lr.score(X, y)
    print(f"Score: {score}")
    mlflow.log_metric("score", score)
    mlflow.sklearn.log_model(lr, "model", registered_model_name="logreg")
    # The guide printed info.run_uuid, which MLflow 3 no longer has; run_id is the same thing.
    print(f"Model saved in run {mlflow.active_run().info.run_id}")
