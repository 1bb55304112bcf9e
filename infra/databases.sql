CREATE DATABASE mlflow; -- beside that of Prefect, which the server makes at its first start
