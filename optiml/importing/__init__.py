"""Problems of other collections to tasks: `kernelbench:FILE`, a PyTorch model with its inputs."""
