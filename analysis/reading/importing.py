"""Takes in result files of runs that no sweep made: the authors' own, and ours that were started without Ray."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from analysis.reading import standalone
from analysis.reading.families import original, undeclared
from analysis.reading.original import PATTERN, original_record
from analysis.reading.result_files import WrongFileError, content_of
from analysis.reading.standalone import standalone_record
from raysweep.experiment import Declaration
from raysweep.ledger import Ledger, Record, write_declarations


@dataclass(kw_only=True, slots=True)
class Imported:
    """What an import did."""

    records: int = 0
    already_there: int = 0
    skipped: list[str] = field(default_factory=list)
    """A line for each file that was skipped, with the reason."""


def import_results(ledger: Ledger, sources: Sequence[str | Path]) -> Imported:
    """Add a record for each result file; the same file twice is one record.

    Raises FileNotFoundError, in one line, for a source that does not exist or holds no result files.
    """
    files = [file for source in sources for file in result_files(Path(source))]
    there = {record["run"] for record in ledger.records()}
    done, new = Imported(), set[str]()
    for file in files:
        try:
            record = read_record(file)
        except WrongFileError as problem:
            done.skipped.append(f"{file}: skipped, {problem}")
            continue
        except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
            writer = "raysweep" if file.name == standalone.PATTERN else "the original"
            reason = f"it is not as {writer} writes it ({type(error).__name__}: {error})"
            done.skipped.append(f"{file}: skipped, {reason}")
            continue
        if record["run"] in there:
            done.already_there += 1
        else:
            ledger.write(record)
            there.add(record["run"])
            new.add(str(record.get("trainable", "")))
            done.records += 1
    if done.records:
        ledger.write_frame()
        write_declarations(ledger, list(_declared(new)))
    return done


def read_record(file: Path) -> Record:
    """A result file as a record. Raises WrongFileError for one that is neither the original's nor ours."""
    content = content_of(file)
    return standalone_record(file, content) if file.name == standalone.PATTERN else original_record(file, content)


def result_files(source: Path) -> list[Path]:
    """The result files at or below a path, in order of their names. Raises FileNotFoundError where there is none."""
    if source.is_file():
        return [source]
    if not source.is_dir():
        raise FileNotFoundError(f"{source} does not exist")
    files = sorted({*source.rglob(PATTERN), *source.rglob(standalone.PATTERN)})
    if not files:
        raise FileNotFoundError(f"{source} holds no {PATTERN} of the original train.py, and no {standalone.PATTERN}")
    return files


def _declared(trainables: set[str]) -> Iterator[Declaration]:
    """What is known of the results of these trainables; "" stands for the original."""
    if "" in trainables:
        yield original()
    for declaration in undeclared():
        if known := tuple(t for t in declaration.trainables if t and t in trainables):
            yield replace(declaration, trainables=known)
