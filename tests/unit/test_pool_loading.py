"""What a pool imports: the module of its ``Lash``, what ``--import`` names, and the modules named ``tasks``."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from lash_redis.core.errors import SettingsError
from lash_redis.pool.loading import load, serves, tasks_to_run

APP = "from lash_redis import Lash\nlash = Lash('unix:///nowhere')\n"


def task(module: str, name: str = "send") -> str:
    """Return a module with one task of the ``Lash`` in another module."""
    return f"from {module} import lash\n@lash.task(recovery='rerunnable')\ndef {name}(): ...\n"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Return the working folder; what is imported from it is forgotten after the test."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    before = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - before:
        del sys.modules[name]


def write(folder: Path, **modules: str) -> None:
    """Write modules; ``shop__orders__tasks`` is ``shop/orders/tasks.py``, and each folder becomes a package."""
    for name, text in modules.items():
        file = folder / f"{name.replace('__', '/')}.py"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        for each in file.parents:
            if each == folder:
                break
            (each / "__init__.py").touch()


def test_every_module_named_tasks_in_the_package_of_the_lash_is_imported(folder: Path) -> None:
    """Also in the packages below it, whatever the modules that nobody imports are called otherwise."""
    tasks = {f"shop{where}__tasks": task("shop.app") for where in ("", "__orders", "__orders__late")}
    write(folder, shop__app=APP, shop__mail="1 / 0", shop__tests__test_all="1 / 0", **tasks)
    (folder / "shop" / "orders" / "again").symlink_to(folder / "shop")

    loaded = load("shop.app:lash")

    names = ["shop.tasks", "shop.orders.tasks", "shop.orders.late.tasks"]
    assert loaded.modules == ["shop.app", *names]
    assert [each.name for each in loaded.lash.tasks] == [f"{name}.send" for name in names]
    assert serves(loaded, loaded.lash.tasks, ["default"]).modules == names


def test_a_package_that_has_the_lash_itself_is_looked_through(folder: Path) -> None:
    """``shop:lash`` in ``shop/__init__.py``. ``tasks`` may be a package; a folder without ``__init__.py`` is none."""
    write(folder, shop__tasks__mail="1 / 0", shop__static__tasks="1 / 0")
    (folder / "shop" / "__init__.py").write_text(APP)
    (folder / "shop" / "tasks" / "__init__.py").write_text(task("shop"))
    (folder / "shop" / "static" / "__init__.py").unlink()

    assert load("shop").modules == ["shop", "shop.tasks"]


def test_the_tasks_beside_a_single_module_are_imported_if_it_has_none(folder: Path) -> None:
    """One that has tasks may have any neighbour."""
    write(folder, app=APP, tasks=task("app"), full=APP + "\n@lash.task(recovery='rerunnable')\ndef send(): ...\n")

    assert load("full:lash").modules == ["full"]
    assert load("app:lash").modules == ["app", "tasks"]


def test_a_module_named_tasks_that_lies_elsewhere_is_not_imported(
    folder: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Python would import that one by the name."""
    write(folder, app=APP, tasks="1 / 0")
    other = tmp_path_factory.mktemp("other")
    write(other, tasks="1 / 0")
    monkeypatch.syspath_prepend(other)

    assert load("app:lash").modules == ["app"]


def test_modules_that_are_named_are_imported_and_told_before(folder: Path) -> None:
    """In their order, each before what is found by itself."""
    write(folder, shop__app=APP, shop__tasks=task("shop.app"), shop__mail=task("shop.app"), other=task("shop.app"))
    told: list[str] = []

    loaded = load("shop.app:lash", ("other", "shop.mail"), on_import=told.append)

    assert loaded.modules == told == ["shop.app", "other", "shop.mail", "shop.tasks"]


@pytest.mark.parametrize(
    ("imports", "said"),
    [
        (
            (),
            r"^shop.tasks cannot be imported \(a module named tasks in .*--no-discovery .*\):\n(?s:.*)1 / 0",
        ),
        (("shop.mial",), r"^no module named 'shop.mial' \(named by --import\): it was looked for in"),
    ],
)
def test_a_module_of_tasks_that_cannot_be_imported_is_named(folder: Path, imports: tuple[str, ...], said: str) -> None:
    """With the reason why it was imported at all."""
    write(folder, shop__app=APP, shop__tasks="1 / 0")
    with pytest.raises(SettingsError, match=said):
        load("shop.app:lash", imports)


def test_a_module_alone_is_enough_if_it_has_one_lash(folder: Path) -> None:
    """The same one may have two names in it."""
    write(folder, one=f"{APP}ours = lash\n", two=f"{APP}ours = Lash('unix:///nowhere')\n", none="")

    assert load("one").lash is load("one:ours").lash
    with pytest.raises(
        SettingsError, match="expected MODULE:ATTR, got 'two': it has a Lash named 'lash' and one named"
    ):
        load("two")
    with pytest.raises(SettingsError, match="expected MODULE:ATTR, got 'none': it has no Lash"):
        load("none")


def test_a_lash_that_is_named_like_a_module_is_suggested(folder: Path) -> None:
    """Celery's pools name their application so."""
    write(folder, shop__tasks=APP)

    with pytest.raises(SettingsError, match=r"no module named 'shop.tasks.lash'.*; did you mean shop.tasks:lash\?$"):
        load("shop.tasks.lash")
    with pytest.raises(SettingsError, match=r"no module named 'shop.tasks.other'.* where Python looks$"):
        load("shop.tasks.other")


@pytest.mark.parametrize("names", [(), ("send",)])
def test_a_lash_without_tasks_is_refused_with_what_was_looked_at(folder: Path, names: tuple[str, ...]) -> None:
    """Another ``Lash`` that has tasks is probably the one that was meant."""
    write(folder, shop__app=APP, shop__tasks=APP + "@lash.task(recovery='rerunnable')\ndef send(): ...\n")

    with pytest.raises(
        SettingsError,
        match=r"shop.app:lash has no tasks.*; shop.tasks:lash is another Lash, and has 1\. "
        r"Imported: shop.app, shop.tasks\. .*--import MODULE",
    ):
        tasks_to_run(load("shop.app:lash"), names)


def test_tasks_that_were_left_out_are_named_if_there_are_none(folder: Path) -> None:
    """A folder without ``__init__.py`` is no package here, and neither is one whose name Python cannot import."""
    write(folder, shop__app=APP, shop__ns__tasks="1 / 0", shop__own__ns__tasks__mail="1 / 0")
    for each in ("ns", "own/ns"):
        (folder / "shop" / each / "__init__.py").unlink()
    (folder / "shop" / "old-ones").mkdir()
    (folder / "shop" / "old-ones" / "tasks.py").write_text("1 / 0")

    with pytest.raises(
        SettingsError,
        match=r"Left out: shop/ns/tasks.py, since shop/ns has no __init__.py; "
        r"shop/old-ones/tasks.py, since shop/old-ones has a name that Python cannot import; "
        r"shop/own/ns/tasks/__init__.py, since shop/own/ns has no __init__.py\. Put ",
    ):
        tasks_to_run(load("shop.app:lash"), ())


def test_an_unknown_task_is_refused_with_the_first_few_that_there_are(folder: Path) -> None:
    """A list of hundreds would hide the name that is wrong."""
    many = "".join(f"lash.task(recovery='rerunnable', name='t{each}')(lambda: None)\n" for each in range(20))
    write(folder, app=APP + many)

    loaded = load("app:lash")

    with pytest.raises(
        SettingsError,
        match=r"^expected tasks to be among t0, .*t7, and 12 more, got t99: did you mean 't9'\?$",
    ):
        tasks_to_run(loaded, ("t1", "t99"))
    told = serves(loaded, loaded.lash.tasks, ["default"])
    assert (told.task_count, told.tasks[-1]) == (20, "and 12 more")


def test_queues_of_its_tasks_that_a_pool_does_not_serve_are_told(folder: Path) -> None:
    """Work that is submitted to them waits for another pool, or for ever."""
    made = [
        f"lash.task(recovery='rerunnable', name='{name}', queue='{name[0]}')(lambda: None)"
        for name in ("b", "c", "a", "c2")
    ]
    write(folder, app="\n".join([APP, *made]))

    loaded = load("app:lash")
    told = serves(loaded, loaded.lash.tasks, ["b", "monney"])

    assert (told.unserved_queues, told.bare_queues) == (["c", "a"], ["monney"])


def test_tasks_of_another_lash_in_the_modules_that_were_imported_are_told(folder: Path) -> None:
    """Whoever wrote ``Lash()`` in two modules meant one; one in a module that the pool did not import is none of it."""
    own = "{}@lash.task(recovery='rerunnable')\ndef {}(): ...\n"
    write(folder, two__a=own.format(APP, "fa"), two__tasks=own.format(APP, "fb"), elsewhere=own.format(APP, "fc"))
    importlib.import_module("elsewhere")

    loaded = load("two.a:lash")

    assert serves(loaded, loaded.lash.tasks, ["default"]).others == {"two.tasks:lash": ["two.tasks.fb"]}


def test_nothing_is_looked_for_if_a_pool_is_told_not_to(folder: Path) -> None:
    """For a package whose modules named ``tasks`` are those of another framework."""
    write(folder, shop__app=APP, shop__tasks="1 / 0", shop__work=task("shop.app"), app=APP, tasks="1 / 0")

    assert load("shop.app", ["shop.work"], discovery=False).modules == ["shop.app", "shop.work"]
    assert load("app", discovery=False).modules == ["app"]
