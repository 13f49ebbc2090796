"""``manage.py loco_jobs``. Shows stored jobs and operates on them: one branch for each sub-command."""

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from signal import SIGINT
from typing import Any

from django.core.management.base import CommandError, CommandParser
from django.utils.translation import override

from ... import jobs
from ...exceptions import LocoError
from ...jobs.transfer.importing import FINISHED
from ...log.plain_text import one_line
from ...process.exit_codes import shell_code
from ..loco_jobs import batches, limits, listing, workflows
from ..loco_jobs.arguments import (
    add_flags_of_django,
    json_list,
    json_object,
    json_value,
    moment,
    no_flag,
    positive,
)
from ..loco_jobs.bulk import BULK, BulkOperation, searched
from ..loco_jobs.dumping import dump
from ..loco_jobs.ids import id_of
from ..loco_jobs.importing import import_dump
from ..loco_jobs.moving import move_between
from ..loco_jobs.pausing import set_paused
from ..output import OutputCommand, refusal_in_memory, warning_of_memory

FILTER_HELP = (
    "Ids of jobs, or their last 8 digits; or a filter such as: status:failed 'task:shop.*' older:2h -tag:bulk."
)
#: The commands for workers: the function, the help, and what is printed.
WORKER_VERBS: Mapping[str, tuple[Callable[..., None], str, str]] = {
    "quiet": (
        jobs.quiet,
        "Stop a worker from taking more jobs.",
        "Worker {0} takes no more jobs within two seconds. Jobs that run go on. To end that: loco_jobs unquiet {0}",
    ),
    "unquiet": (
        jobs.unquiet,
        "Let a quiet worker take jobs again.",
        "Worker {0} takes jobs again within two seconds.",
    ),
    "stop": (
        jobs.stop,
        "End the process of a worker when its jobs have ended.",
        "Worker {0} was told to stop, as by SIGTERM.",
    ),
}
#: The commands that change jobs, queues, limits or workers, beside ``import`` and ``move`` between stores.
CHANGES = ("pause", "resume", "set-limit", "signal", *BULK, *WORKER_VERBS)


class Command(OutputCommand):
    help = "Shows stored jobs, and retries, cancels, changes, moves or deletes them. Pauses queues, and stops workers."
    requires_system_checks = ()  # it has to work when something is wrong

    def create_parser(self, *args: Any, **options: Any) -> CommandParser:
        """Return a parser that takes words of a filter with a minus, such as ``-tag:bulk``, for no flags."""
        parser = super().create_parser(*args, **options)
        original = parser.parse_args

        def parse_args(args: Sequence[str] | None = None, namespace: Any = None) -> Any:
            return original([*map(no_flag, sys.argv[1:] if args is None else args)], namespace)

        parser.parse_args = parse_args  # type: ignore[assignment]
        return parser

    def add_arguments(self, parser: CommandParser) -> None:
        verbs = parser.add_subparsers(dest="verb", required=True, metavar="COMMAND")
        listing = self._verb(verbs, "list", "List jobs, the newest first.", forms=("table", "json", "csv"))
        listing.add_argument("filter", nargs="*", help=FILTER_HELP)
        listing.add_argument(
            "--limit", type=positive, metavar="N", default=50, help="Maximum number of jobs. Default: 50."
        )
        for name, text in (
            ("show", "Show one job with its arguments, attempts and errors."),
            ("why", "Say why a job does not run, or how it ended."),
        ):
            self._verb(verbs, name, text).add_argument(
                "id", help="The id of a job, or its last 8 digits, as in the log."
            )
        self._verb(verbs, "stats", "Count the jobs of each queue.", forms=("table", "json", "csv"))
        nodes = self._verb(verbs, "workflows", "List workflows, or the nodes of one; cancel or retry it.")
        workflows.add_arguments(nodes)
        for name, text in BULK.items():
            self._add_mass(verbs, name, text)
        signal = self._verb(verbs, "signal", "Send a signal to a job that waits for it, or will.", forms=())
        signal.add_argument("id", help="The id of a job, or its last 8 digits, as in the log.")
        signal.add_argument("name", help='The name, as in context.wait_for("approved").')
        signal.add_argument("value", nargs="?", type=json_value, help="A JSON value. Default: null.")
        batches.add_arguments(self._verb(verbs, "batches", "List batches, or show, cancel or retry one."))
        self._add_dump(verbs)
        self._add_import(verbs)
        for name, text in (
            ("pause", "Stop workers from taking jobs of a queue, a task or a tag."),
            ("resume", "End the pause of a queue, a task or a tag."),
        ):
            what = self._verb(verbs, name, text, forms=()).add_mutually_exclusive_group(required=True)
            what.add_argument("queue", nargs="?", help="The name of a queue.")
            what.add_argument("--task", metavar="PATH", help="The path of a task, instead of a queue.")
            what.add_argument("--tag", metavar="NAME", help="A tag, instead of a queue.")
        verbs.choices["pause"].add_argument("--force", action="store_true", help="Pause a task that is not known, too.")
        limits.add_arguments(lambda *given: self._verb(verbs, *given))
        for name, (_, text, _) in WORKER_VERBS.items():
            self._verb(verbs, name, text, forms=()).add_argument("worker", help="The id of a worker: see loco_status.")
        for verb in verbs.choices.values():
            add_flags_of_django(verb)

    def _verb(self, verbs: Any, name: str, text: str, forms: Sequence[str] = ("table", "json")) -> CommandParser:
        parser: CommandParser = verbs.add_parser(name, help=text, description=text)
        parser.add_argument(
            "--backend", metavar="ALIAS", help="Only jobs of this alias in TASKS. Default: all of django-loco."
        )
        if forms:
            parser.add_argument("--format", choices=forms, default="table", help="Output format. Default: table.")
        return parser

    def _add_mass(self, verbs: Any, name: str, text: str) -> None:
        parser = self._verb(verbs, name, text, forms=())
        parser.add_argument("filter", nargs="*", help=FILTER_HELP)
        parser.add_argument("--all", action="store_true", help="All jobs; instead of a filter.")
        parser.add_argument("--dry-run", action="store_true", help="Only report how many jobs would change.")
        parser.add_argument("--yes", action="store_true", help="Do not ask.")
        if name == "move":
            parser.add_argument("--queue", metavar="NAME", help="The queue to move them to, within their aliases.")
            parser.add_argument("--from", metavar="ALIAS", help="With --to: move jobs that wait to another store.")
            parser.add_argument("--to", metavar="ALIAS", help="The alias in TASKS to move them to.")
        if name == "update":
            parser.add_argument("--priority", type=int, metavar="N", help="From -100 to 100.")
            parser.add_argument("--run-after", type=moment, metavar="TIME", help="now, 5m, or 2026-11-28T09:30.")
            parser.add_argument(
                "--expires", type=moment, metavar="TIME", help="The same; after it the job never begins."
            )
            parser.add_argument("--args", type=json_list, dest="new_args", metavar="JSON", help="A JSON list.")
            parser.add_argument("--kwargs", type=json_object, dest="new_kwargs", metavar="JSON", help="A JSON object.")
            parser.add_argument("--tags", metavar="A,B", help="Tags with commas between; empty for none.")

    def _add_dump(self, verbs: Any) -> None:
        parser = self._verb(verbs, "dump", "Write all stored data of jobs, one job per line.", forms=())
        parser.add_argument("filter", nargs="*", help=f"{FILTER_HELP} Default: all jobs.")
        parser.add_argument("--output", metavar="FILE", help="The file to write, once complete. Default: stdout.")
        parser.add_argument("--format", choices=("json",), default="json", help="Output format. Default: json.")

    def _add_import(self, verbs: Any) -> None:
        parser: CommandParser = verbs.add_parser("import", help="Store the jobs of a dump.")
        parser.add_argument("file", metavar="FILE", help="A file that dump has written; - for stdin.")
        parser.add_argument(
            "--backend", metavar="ALIAS", help="Store them in this alias in TASKS. Default: each in its own."
        )
        parser.add_argument(
            "--finished",
            choices=FINISHED,
            default="keep",
            help="What to do with jobs that have finished: keep them as they are, skip them, or run them once more. "
            "Default: keep.",
        )
        parser.add_argument("--skip-errors", action="store_true", help="Leave out lines that are wrong.")
        parser.add_argument("--dry-run", action="store_true", help="Only check the file and report its contents.")
        parser.add_argument("--yes", action="store_true", help="Do not ask.")

    @override("en")
    def handle(self, *args: Any, verb: str, **options: Any) -> None:
        with explained():
            if verb == "import":
                import_dump(options, self.stdout, self.stderr)
                return
            if verb == "move" and (options["queue"] is None or options["from"] or options["to"]):
                move_between(options, self.stdout, self.stderr)
                return
            self.tell_of_memory(verb, options)
            if verb == "dump":
                dump(options, self.stdout, self.stderr, self.show)
            elif verb in BULK:
                BulkOperation(verb, options, self.stdout).run()
            elif verb in ("pause", "resume"):
                set_paused(options, self.stdout, pauses=verb == "pause")
            elif verb in WORKER_VERBS:
                tell, _, answer = WORKER_VERBS[verb]
                tell(options["worker"], backend=options["backend"])
                self.stdout.write(answer.format(one_line(options["worker"])))
            else:
                self.show(self.lines(verb, options))

    def tell_of_memory(self, verb: str, options: Mapping[str, Any]) -> None:
        """Warn of jobs that this process cannot see. Raises ``CommandError`` if it could change none."""
        if self.owns_process and changes(verb, options) and (problem := refusal_in_memory(options["backend"])):
            raise CommandError(problem)
        if warning := warning_of_memory(options["backend"]):
            self.stderr.write(warning)

    def lines(self, verb: str, options: Mapping[str, Any]) -> Iterator[str]:
        """Return the lines of a command that shows something."""
        backend, form = options["backend"], options.get("format", "table")
        match verb:
            case "list":
                return listing.as_list(searched(options)[: options["limit"]], form)
            case "show":
                return listing.as_report(jobs.get(id_of(options["id"], backend), backend=backend), form)
            case "signal" | "limits" | "set-limit":
                return self.send_signal(options) if verb == "signal" else limits.lines(verb, options)
            case "why":
                return listing.as_reasons(jobs.why(id_of(options["id"], backend), backend=backend), form)
            case "batches" | "workflows":
                return (
                    batches.lines_of(options, self.stdout)
                    if verb == "batches"
                    else workflows.lines(options, self.stdout)
                )
        return listing.as_stats(jobs.stats(backend=backend), jobs.rates(backend=backend), form)

    def send_signal(self, options: Mapping[str, Any]) -> Iterator[str]:
        job_id = id_of(options["id"], options["backend"])
        name = one_line(options["name"])
        if jobs.signal(job_id, options["name"], options["value"], backend=options["backend"]):
            yield f"Sent the signal {name!r} to job {job_id}."
        else:
            yield f"Job {job_id} has the signal {name!r} already; the value that it has counts."


def changes(verb: str, options: Mapping[str, Any]) -> bool:
    """Return whether the command would change something."""
    return verb in CHANGES or (verb in ("batches", "workflows") and (options["cancel"] or options["retry"]))


@contextmanager
def explained() -> Iterator[None]:
    """Raise ``CommandError`` for mistakes of the user, for errors of the store, and after Ctrl-C."""
    try:
        yield
    except KeyboardInterrupt:
        text = "Interrupted. If jobs were being changed, run the command again for the others."
        raise CommandError(text, returncode=shell_code(-SIGINT)) from None
    except (LocoError, jobs.TaskResultDoesNotExist, ValueError) as error:
        raise CommandError(str(error)) from error
