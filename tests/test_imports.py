"""How the packages import each other, beyond the contracts that import-linter keeps."""

import grimp


def test_no_circle_of_imports():
    """No module imports itself by way of others: not at run time, in a function, or under TYPE_CHECKING."""
    graph = grimp.build_graph("toprope", "toprope_tasks", cache_dir=None)
    left = {module: set(graph.find_modules_directly_imported_by(module)) for module in graph.modules}
    assert len(left) > 200
    while free := [module for module, imported in left.items() if not imported & left.keys()]:
        for module in free:
            del left[module]
    assert not left, f"circles among {sorted(left)}"
