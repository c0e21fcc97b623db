"""Where else the measurements of runs go: TensorBoard, MLflow, W&B, Prometheus."""
