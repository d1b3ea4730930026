import os

os._exit(3)


class Model: ...


def get_inputs(): ...
