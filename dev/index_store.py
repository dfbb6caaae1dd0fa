"""Reads what the compiler wrote about a debug build: which line defines and which line names what.

The library is part of the toolchain, and so is the format (clang's index store, version 5).
"""

import ctypes
import os
import shutil
from collections import namedtuple

# Bits of indexstore.h.
DEFINITION, REFERENCE, IMPLICIT = 1 << 1, 1 << 2, 1 << 8
CHILD_OF, BASE_OF, OVERRIDE_OF, EXTENDED_BY, ACCESSOR_OF, CONTAINED_BY = (
    1 << 9,
    1 << 10,
    1 << 11,
    1 << 14,
    1 << 15,
    1 << 16,
)
RECORD = 2
KINDS = {
    1: "module", 5: "enum", 6: "struct", 7: "class", 8: "protocol", 9: "extension", 11: "typealias", 12: "function",
    13: "variable", 15: "enum case", 16: "method", 17: "class method", 18: "static method", 19: "property",
    20: "class property", 21: "static property", 22: "initializer", 23: "deinitializer", 25: "parameter",
}

Occurrence = namedtuple("Occurrence", "file module usr name kind line column roles relations")


class _Text(ctypes.Structure):
    _fields_ = [("data", ctypes.c_void_p), ("length", ctypes.c_size_t)]

    def __str__(self):
        return ctypes.string_at(self.data, self.length).decode() if self.length else ""


_Visit = ctypes.CFUNCTYPE(ctypes.c_bool, ctypes.c_void_p, ctypes.c_void_p)
_VisitText = ctypes.CFUNCTYPE(ctypes.c_bool, ctypes.c_void_p, _Text)


def _library():
    swift = os.path.realpath(shutil.which("swift"))
    path = os.path.join(os.path.dirname(swift), "..", "lib", "libIndexStore.so")
    library = ctypes.CDLL(path)
    pointer, text = ctypes.c_void_p, _Text

    def declare(name, result, *arguments):
        function = getattr(library, "indexstore_" + name)
        function.restype, function.argtypes = result, arguments

    declare("store_create", pointer, ctypes.c_char_p, ctypes.POINTER(pointer))
    declare("store_units_apply_f", ctypes.c_bool, pointer, ctypes.c_uint, pointer, _VisitText)
    declare("unit_reader_create", pointer, pointer, ctypes.c_char_p, ctypes.POINTER(pointer))
    declare("unit_reader_dispose", None, pointer)
    declare("unit_reader_get_main_file", text, pointer)
    declare("unit_reader_get_module_name", text, pointer)
    declare("unit_reader_get_output_file", text, pointer)
    declare("unit_reader_dependencies_apply_f", ctypes.c_bool, pointer, pointer, _Visit)
    declare("unit_dependency_get_kind", ctypes.c_int, pointer)
    declare("unit_dependency_get_name", text, pointer)
    declare("unit_dependency_get_filepath", text, pointer)
    declare("record_reader_create", pointer, pointer, ctypes.c_char_p, ctypes.POINTER(pointer))
    declare("record_reader_dispose", None, pointer)
    declare("record_reader_occurrences_apply_f", ctypes.c_bool, pointer, pointer, _Visit)
    declare("occurrence_get_symbol", pointer, pointer)
    declare("occurrence_get_roles", ctypes.c_uint64, pointer)
    declare(
        "occurrence_get_line_col", None, pointer, ctypes.POINTER(ctypes.c_uint), ctypes.POINTER(ctypes.c_uint)
    )
    declare("occurrence_relations_apply_f", ctypes.c_bool, pointer, pointer, _Visit)
    declare("symbol_relation_get_roles", ctypes.c_uint64, pointer)
    declare("symbol_relation_get_symbol", pointer, pointer)
    declare("symbol_get_kind", ctypes.c_int, pointer)
    declare("symbol_get_name", text, pointer)
    declare("symbol_get_usr", text, pointer)
    return library


def occurrences(store_path, root):
    """Every definition and reference in files below root (an absolute path), as the last build saw them.

    A store keeps what files said that have gone since, and what a build of before said of a file: only the newest unit of a
    file that is there counts.
    """
    library = _library()
    store = library.indexstore_store_create(store_path.encode(), None)
    if not store:
        raise SystemExit(f"no index store at {store_path}: build in debug first")
    names = []
    library.indexstore_store_units_apply_f(store, 1, None, _VisitText(lambda _, name: names.append(str(name)) or True))
    newest = {}
    for name in names:
        unit = library.indexstore_unit_reader_create(store, name.encode(), None)
        if not unit:
            continue
        file = os.path.normpath(str(library.indexstore_unit_reader_get_main_file(unit)))
        if file.startswith(root) and file.endswith(".swift") and os.path.exists(file):
            changed = os.path.getmtime(os.path.join(store_path, "v5", "units", name))
            if file not in newest or newest[file][0] < changed:
                newest[file] = (changed, unit, str(library.indexstore_unit_reader_get_module_name(unit)))
                continue
        library.indexstore_unit_reader_dispose(unit)
    result = []
    for file, (_, unit, module) in sorted(newest.items()):
        records = []

        def dependency(_, item):
            if library.indexstore_unit_dependency_get_kind(item) == RECORD:
                if os.path.normpath(str(library.indexstore_unit_dependency_get_filepath(item))) == file:
                    records.append(str(library.indexstore_unit_dependency_get_name(item)))
            return True

        library.indexstore_unit_reader_dependencies_apply_f(unit, None, _Visit(dependency))
        for record in records:
            _read(library, store, record, file, module, result)
        library.indexstore_unit_reader_dispose(unit)
    return result


def _read(library, store, record, file, module, result):
    reader = library.indexstore_record_reader_create(store, record.encode(), None)
    if not reader:
        return
    line, column = ctypes.c_uint(), ctypes.c_uint()

    def visit(_, occurrence):
        symbol = library.indexstore_occurrence_get_symbol(occurrence)
        library.indexstore_occurrence_get_line_col(occurrence, ctypes.byref(line), ctypes.byref(column))
        relations = []

        def relation(_, item):
            other = library.indexstore_symbol_relation_get_symbol(item)
            relations.append(
                (library.indexstore_symbol_relation_get_roles(item), str(library.indexstore_symbol_get_usr(other)))
            )
            return True

        library.indexstore_occurrence_relations_apply_f(occurrence, None, _Visit(relation))
        kind = library.indexstore_symbol_get_kind(symbol)
        result.append(
            Occurrence(
                file, module, str(library.indexstore_symbol_get_usr(symbol)),
                str(library.indexstore_symbol_get_name(symbol)), KINDS.get(kind, str(kind)), line.value, column.value,
                library.indexstore_occurrence_get_roles(occurrence), relations,
            )
        )
        return True

    library.indexstore_record_reader_occurrences_apply_f(reader, None, _Visit(visit))
    library.indexstore_record_reader_dispose(reader)
