"""Writes files that torch.load reads and nanoebm refuses: pickles that run a command, and shows that they do; older and other formats."""

import json
import os
import sys

import torch


class Runs:
    """Unpickles to the result of a call."""

    def __init__(self, function, *arguments):
        self.call = (function, arguments)

    def __reduce__(self):
        return self.call


def main(folder):
    def path(name):
        return os.path.join(folder, name)

    calls = {
        "system.pt": (os.system, f"touch {path('ran')}"),
        "eval.pt": (eval, f"open({path('ran')!r}, 'w').close()"),
        "exec.pt": (exec, f"open({path('ran')!r}, 'w').close()"),
    }
    executed = {}
    for name, call in calls.items():
        torch.save({"model": {}, "step": 1, "config": Runs(*call)}, path(name))
        torch.load(path(name), weights_only=False)
        executed[name] = os.path.exists(path("ran"))
        os.remove(path("ran"))
    torch.save({"step": 1}, path("legacy.pt"), _use_new_zipfile_serialization=False)
    torch.jit.save(torch.jit.script(torch.nn.Linear(2, 1)), path("script.pt"))
    # Not refused for its name, which torch gives to the folder inside, but for what it lacks.
    torch.save({"step": 1}, path("имя.pt"))
    print(json.dumps(executed))


main(sys.argv[1])
