#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Are the types of the Python package (__init__.pyi) those of what is there: names, parameters,
docstrings?"""

import ast
import inspect
import sys

import viofs

# In the stub for who checks types; at run time it is of a base class, or of type itself.
INHERITED = {"__init__", "__enter__", "__exit__", "__aenter__", "__aexit__", "__iter__",
             "__aiter__", "__getattr__", "__call__"}
wrong = []
# Of each class of the stub, those of its bases included.
members = {}


def declared(node):
    """(name, has a default) of each parameter but self, * included."""
    a = node.args
    positional = [arg.arg for arg in a.posonlyargs + a.args]
    first = len(positional) - len(a.defaults)
    found = [(name, i >= first) for i, name in enumerate(positional)]
    found += [(arg.arg, default is not None) for arg, default in zip(a.kwonlyargs, a.kw_defaults)]
    return [(name, default) for name, default in found if name != "self"]


def there(function):
    """The same of a function."""
    kinds = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    return [(p.name, p.default is not p.empty)
            for p in inspect.signature(function).parameters.values()
            if p.name != "self" and p.kind not in kinds]


def compare_function(name, node, function):
    """One of the stub's."""
    signature = inspect.signature(function)
    if any(p.kind is p.VAR_KEYWORD for p in signature.parameters.values()) and not node.args.kwarg:
        return  # the stub says what they are
    if declared(node) != there(function):
        wrong.append(f"{name}: the stub has {declared(node)}, the package {there(function)}")


def compare_class(node):
    """All of a class, in both directions."""
    cls = getattr(viofs, node.name)
    if not cls.__doc__:
        wrong.append(f"{node.name} has no docstring")
    names = set()
    for item in node.body:
        if isinstance(item, (ast.FunctionDef, ast.AsyncFunctionDef)):
            names.add(item.name)
            found = inspect.getattr_static(cls, item.name, None)
            if found is None:
                wrong.append(f"{node.name}.{item.name} is in the stub only")
            elif inspect.isfunction(found):
                compare_function(f"{node.name}.{item.name}", item, found)
            if item.name not in INHERITED and found is not None and not found.__doc__:
                wrong.append(f"{node.name}.{item.name} has no docstring")
    names |= {name for base in node.bases if isinstance(base, ast.Name)
              for name in members.get(base.id, ())}
    members[node.name] = names
    for name, value in inspect.getmembers_static(cls):
        ours = (inspect.isfunction(value) and value.__module__.startswith("viofs")
                or isinstance(value, property))
        internal = {"add_user", "let_go", "lose", "later", "failure", "check", "fill", "end",
                    "lock",
                    "close_opened", "give_up_calls", "wait_for_calls", "pointer_of", "reaches",
                    "device"}
        if ours and not name.startswith("_") and name not in names | internal and value.__doc__:
            wrong.append(f"{node.name}.{name} is not in the stub")


def main(stub):
    """The exit status."""
    with open(stub, encoding="utf-8") as f:
        tree = ast.parse(f.read())
    names = set()
    for node in tree.body:
        if isinstance(node, ast.ClassDef):
            names.add(node.name)
            compare_class(node)
        elif isinstance(node, ast.FunctionDef):
            names.add(node.name)
            compare_function(node.name, node, getattr(viofs, node.name))
        elif isinstance(node, ast.AnnAssign) and node.target.id in viofs.__all__:
            names.add(node.target.id)
    if names != set(viofs.__all__):
        wrong.append(f"the stub and __all__ differ: {sorted(names ^ set(viofs.__all__))}")
    print("\n".join(wrong))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
