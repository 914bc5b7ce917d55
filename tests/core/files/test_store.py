"""The file store, on a folder and in memory."""

import errno
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from core.errors import NotFound, StorageFull
from core.files import FileStore
from core.files.store import _telling
from core.settings import Settings


@pytest.fixture(params=["file", "memory"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> FileStore:
    return FileStore((tmp_path / "files").as_uri() if request.param == "file" else "memory://")


def content(store: FileStore, customer: str, key: str) -> bytes:
    return b"".join(store.get_stream(customer, key))


def test_a_file_is_read_back_as_it_was_written(store):
    blocks = [b"first ", b"", b"second"]
    assert store.put_stream("cus_a", "reports/2026/one.pdf", blocks) == 12
    assert content(store, "cus_a", "reports/2026/one.pdf") == b"first second"
    assert store.size("cus_a", "reports/2026/one.pdf") == 12
    assert store.exists("cus_a", "reports/2026/one.pdf")


def test_a_file_larger_than_any_block_survives(store):
    block = bytes(range(256)) * 4096
    assert store.put_stream("cus_a", "large", (block for _ in range(9))) == 9 * len(block)
    assert content(store, "cus_a", "large") == block * 9


def test_a_file_of_another_customer_is_not_there(store):
    store.put_stream("cus_a", "one", [b"secret"])
    assert not store.exists("cus_b", "one")
    with pytest.raises(NotFound):
        store.get_stream("cus_b", "one")


def test_a_second_write_replaces_the_first(store):
    store.put_stream("cus_a", "one", [b"a longer text"])
    store.put_stream("cus_a", "one", [b"short"])
    assert content(store, "cus_a", "one") == b"short"


def test_a_write_that_breaks_off_leaves_the_old_file(store):
    store.put_stream("cus_a", "one", [b"old"])

    def broken() -> Iterator[bytes]:
        yield b"x" * 3_000_000
        raise RuntimeError("the upload was cut")

    with pytest.raises(RuntimeError, match="cut"):
        store.put_stream("cus_a", "one", broken())
    assert content(store, "cus_a", "one") == b"old"


def test_a_deleted_file_is_gone_and_deleting_it_again_is_no_fault(store):
    store.put_stream("cus_a", "one", [b"x"])
    store.delete("cus_a", "one")
    store.delete("cus_a", "one")
    assert not store.exists("cus_a", "one")
    with pytest.raises(NotFound):
        store.size("cus_a", "one")


@pytest.mark.parametrize("key", ["", "/one", "one/", "../cus_b/one", "a/../../b", "a//b", ".hidden", "a/.b", "a\\b", "a\x00b", "a b", "é",
                                 "x" * 600, "a/" * 300 + "b"])
def test_a_key_that_is_no_plain_name_is_refused(store, key):
    for ask in (store.get_stream, store.delete, store.exists, store.size):
        with pytest.raises(ValueError, match="plain names"):
            ask("cus_a", key)
    with pytest.raises(ValueError, match="plain names"):
        store.put_stream("cus_a", key, [b"x"])


@pytest.mark.parametrize("customer_id", ["", "..", "a/b", "/etc"])
def test_a_customer_that_is_no_plain_name_is_refused(store, customer_id):
    with pytest.raises(ValueError, match="plain names"):
        store.put_stream(customer_id, "one", [b"x"])


def test_without_a_setting_files_lie_in_the_home_folder(tmp_path):
    settings = replace(Settings(), home=str(tmp_path / "home"))
    FileStore.of(settings).put_stream("cus_a", "reports/one", [b"x"])
    assert (tmp_path / "home" / "files" / "cus_a" / "reports" / "one").read_bytes() == b"x"


def test_the_store_may_lie_in_a_folder_with_blanks_in_its_name(tmp_path):
    store = FileStore((tmp_path / "our files").as_uri())
    store.put_stream("cus_a", "one", [b"x"])
    assert (tmp_path / "our files" / "cus_a" / "one").read_bytes() == b"x"


def test_an_address_of_another_kind_is_refused():
    with pytest.raises(ValueError, match="ftp"):
        FileStore("ftp://example.test/files")


def test_a_full_disk_is_told_as_such():
    with pytest.raises(StorageFull), _telling("one"):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
