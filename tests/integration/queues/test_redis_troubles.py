"""What a Redis says when it cannot, and what a project has set up wrongly: each error names setting and remedy."""

from __future__ import annotations

import gc
import re
import subprocess
import threading
import time
import traceback
from datetime import timedelta

import pytest
from django.core.checks import run_checks
from redis import connection, exceptions

from django_loco.core.job import RUNNING, SUCCESSFUL, Job, Outcome, utcnow
from django_loco.exceptions import LocoConfigurationError, QueueUnavailable
from django_loco.queues import Claim, queue_for
from django_loco.queues.redis import RedisQueue
from django_loco.queues.redis import scripts as redis_scripts
from django_loco.queues.redis.connections.availability import REMEDIES
from django_loco.worker.maintenance.heartbeat import info_of
from tests.processes import free_port
from tests.redis_server import IN_MEMORY, RedisServer, sentinel_caches

ROUND_TRIP = "django_loco.queues.redis.connections.server._round_trip"
CLAIM = Claim(worker_id="w1", lease=60, threads=10)
REDIS = "django_redis.cache.RedisCache"


def job(**given) -> Job:
    return Job(**{"task_path": "shop.tasks.send", "backend": "default"} | given)


@pytest.fixture(scope="module")
def server():
    """A server that these tests may spoil."""
    with RedisServer() as server:
        yield server


@pytest.fixture
def client(server):
    with server.client() as client:
        yield client


@pytest.fixture
def queue(server) -> RedisQueue:
    queue = RedisQueue("default", {"url": server.url})
    queue.clear()
    return queue


def until(condition):
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline, "it never came true"
        time.sleep(0.005)


def unavailable(words):
    return pytest.raises(QueueUnavailable, match=rf"TASKS\['default'\].*OPTIONS'\]\['url'\].*{words}")


def test_a_server_that_is_not_there():
    queue = RedisQueue("default", {"url": f"redis://127.0.0.1:{free_port()}"})
    started = time.monotonic()
    for call in (queue.counts, lambda: queue.enqueue([job()]), lambda: queue.fetch(CLAIM), lambda: queue.wait(1)):
        with unavailable("Connection refused. Start it, or correct its address."):
            call()
    queue.close()
    assert time.monotonic() - started < 10


def test_a_server_that_comes_back(queue, server):
    queue.enqueue([job()])
    waited = threading.Thread(target=lambda: queue.wait(0.01))
    waited.start()
    waited.join()
    server.kill()
    with unavailable("Connection"):
        queue.enqueue([job()])
    server.start()
    queue.enqueue([job()])
    assert len(queue.fetch(CLAIM)) == 1
    assert queue.wait(0.01) in (True, False)
    queue.close()


def test_a_server_that_was_restarted_since_the_last_job(queue, server):
    queue.enqueue([job()])
    server.kill()
    server.start()
    for _ in range(2):
        assert queue.enqueue([job()])
    assert sum(queue.counts().values()) == 2


def test_a_server_that_has_closed_the_connection_since_the_last_job(queue, client):
    for _ in range(3):
        assert queue.enqueue([job()])
        client.client_kill_filter(_type="normal", skipme=True)
    assert sum(queue.counts().values()) == 3


def test_a_job_whose_answer_is_lost_is_stored_once(queue, monkeypatch):
    queue.enqueue([job()])
    read = connection.AbstractConnection.read_response

    def lost(self, *args, **kwargs):
        monkeypatch.setattr(connection.AbstractConnection, "read_response", read)
        read(self, *args, **kwargs)
        self.disconnect()
        raise exceptions.ConnectionError("Connection closed by server.")

    monkeypatch.setattr(connection.AbstractConnection, "read_response", lost)
    assert queue.enqueue([job()])
    assert sum(queue.counts().values()) == 2


def test_an_interrupted_call_leaves_its_answer_to_nobody_else(queue, monkeypatch):
    first, second = queue.enqueue([job(), job()])
    read = connection.AbstractConnection.read_response

    def interrupted(*_args, **_kwargs):
        monkeypatch.setattr(connection.AbstractConnection, "read_response", read)
        raise KeyboardInterrupt

    monkeypatch.setattr(connection.AbstractConnection, "can_read", lambda *_args, **_kwargs: False)  # it is far away
    monkeypatch.setattr(connection.AbstractConnection, "read_response", interrupted)
    with pytest.raises(KeyboardInterrupt):
        queue.get(first.id)
    assert queue.get(second.id).id == second.id


@pytest.mark.filterwarnings("ignore:Exception ignored in. <socket:pytest.PytestUnraisableExceptionWarning")
def test_a_pool_that_other_threads_close_all_the_time(queue, server):
    stored = store_through_a_pool_that_is_closed_all_the_time(server)
    gc.collect()  # Here, with all of that pool: redis-py may forget a socket that is closed while it is being opened.
    fetched = queue.fetch(Claim(worker_id="w1", lease=60, threads=1_000))
    assert [one.id for one in fetched] == [one.id for one in stored]


def store_through_a_pool_that_is_closed_all_the_time(server):
    queue = RedisQueue("default", {"url": server.url})
    ended = threading.Event()

    def close_the_pool():
        while not ended.wait(0.001):
            queue.server.client.connection_pool.disconnect()

    closer = threading.Thread(target=close_the_pool)
    closer.start()
    try:
        return [one for _ in range(300) for one in enqueue_in_spite_of_all(queue)]
    finally:
        ended.set()
        closer.join()


@pytest.mark.parametrize(
    "error",
    [
        ValueError("I/O operation on closed file."),
        ValueError("file descriptor cannot be a negative integer (-1)"),
        TypeError("argument must be an int, or have a fileno() method."),
        AttributeError("'NoneType' object has no attribute 'readline'"),
    ],
)
def test_a_pool_that_is_closed_while_the_server_is_asked_what_it_is(queue, monkeypatch, error):
    monkeypatch.setattr(queue.server.client, "info", raising(error))
    with unavailable("closed meanwhile"):
        queue.enqueue([job()])


def test_another_error_is_no_lost_connection(queue, monkeypatch):
    monkeypatch.setattr(queue.server.client, "info", raising(TypeError("unexpected keyword argument 'section'")))
    with pytest.raises(TypeError, match="unexpected keyword"):
        queue.enqueue([job()])


def enqueue_in_spite_of_all(queue):
    one = job()
    while True:
        try:
            return queue.enqueue([one])
        except QueueUnavailable:
            pass


def test_a_full_server_takes_no_jobs_but_outcomes(queue, client):
    queue.enqueue([job()])
    [held] = queue.fetch(CLAIM)
    client.config_set("maxmemory", "1")
    try:
        with unavailable("used memory.*It is full: loco_jobs delete status:successful --yes frees memory"):
            queue.enqueue([job()])
        assert queue.finish([Outcome(job=held, status=SUCCESSFUL, return_value='"big"')]) == set()
    finally:
        client.config_set("maxmemory", "0")
    assert queue.get(held.id).status == SUCCESSFUL
    assert queue.fetch(CLAIM) == []


def test_a_full_server_lets_workers_do_all_that_they_have_to(queue, client):
    soon = utcnow() + timedelta(seconds=1)
    queue.enqueue([job(key="tick"), job(key="other tick"), job(run_after=soon, tags=("x",))])
    done, lost = queue.fetch(CLAIM)
    client.config_set("maxmemory", "1")
    try:
        assert queue.renew([done, lost], 60) == set()
        assert queue.finish([Outcome(job=done, status=SUCCESSFUL, return_value="1")]) == set()
        assert queue.renew([lost], 0) == set()
        assert [one.id for one in queue.rescue()] == [lost.id]
        until(lambda: utcnow() > soon)
        assert len(queue.fetch(CLAIM)) == 2
        queue._local.nonce = queue.list(status=RUNNING)[0].token.partition(".")[0]  # the reply was lost
        assert len(queue.fetch(CLAIM)) == 2
        assert queue.prune(older_than=-1) == 1
        queue.register(info_of(CLAIM, 60))
        assert queue.command("w1", "stop")
    finally:
        client.config_set("maxmemory", "0")
    assert {status: count for (_, status), count in queue.counts().items()} == {RUNNING: 2}


def test_a_replica(queue, client):
    client.replicaof("127.0.0.1", free_port())
    try:
        with unavailable(r"read only replica\. It is a replica now; .* name that one in TASKS"):
            queue.enqueue([job()])
    finally:
        client.replicaof("no", "one")
    queue.enqueue([job()])


def test_a_server_that_cannot_write_to_its_disk(tmp_path):
    data = tmp_path / "data"
    data.mkdir()
    with RedisServer("--dir", str(data)) as server, server.client() as client:
        queue = RedisQueue("default", {"url": server.url})
        client.config_set("save", "1 1")
        data.rmdir()
        with unavailable("MISCONF.*its log says why"):
            for _ in range(1_000):
                queue.enqueue([job()])
                time.sleep(0.02)


def test_a_server_that_is_busy_with_a_script(queue, client, server):
    client.config_set("lua-time-limit", "10")

    def hold_up():
        with server.client() as other, pytest.raises(Exception, match="SCRIPT KILL"):
            other.eval("while true do end", 0)

    script = threading.Thread(target=hold_up)
    queue.counts()
    script.start()
    try:
        with unavailable("SCRIPT KILL ends that one"):
            while True:
                queue.fetch(CLAIM)
    finally:
        client.script_kill()
        script.join()
    assert queue.enqueue([job()]) != []


def test_a_script_that_is_killed(queue, monkeypatch, server, client):
    client.config_set("lua-time-limit", "10")
    queue.enqueue([job()])
    monkeypatch.setattr(redis_scripts.SCRIPTS["exchange"], "text", "while true do end")
    monkeypatch.setattr(redis_scripts.SCRIPTS["exchange"], "sha", "0" * 40)
    ended = threading.Event()

    def kill():
        while not ended.wait(0.05):
            with server.client() as other:
                try:
                    other.script_kill()
                except Exception as error:  # noqa: BLE001
                    assert "NOTBUSY" in str(error)  # noqa: PT017

    killer = threading.Thread(target=kill)
    killer.start()
    try:
        with unavailable("SCRIPT KILL.*it had changed nothing"):
            queue.fetch(CLAIM)
    finally:
        ended.set()
        killer.join()
    monkeypatch.undo()
    assert len(queue.fetch(CLAIM)) == 1


@pytest.mark.parametrize("user", ["", "shop:wrong@"])
def test_passwords(user):
    with RedisServer() as server, server.client() as client:
        client.config_set("requirepass", "secret")
        queue = RedisQueue("default", {"url": server.url.replace("://", f"://{user}")})
        with pytest.raises(QueueUnavailable, match=r"It wants a password|does not know this user") as caught:
            queue.enqueue([job()])
        assert "wrong" not in str(caught.value)
        assert RedisQueue("default", {"url": server.url.replace("://", "://:secret@")}).enqueue([job()])


def test_a_user_who_may_not(client, server):
    client.acl_setuser("shop", enabled=True, passwords=["+p"], keys=["*"], commands=["+@all", "-evalsha", "-info"])
    try:
        queue = RedisQueue("default", {"url": server.url.replace("://", "://shop:p@")})
        with unavailable("no permissions.*Its ACL must allow"):
            queue.enqueue([job()])
    finally:
        client.acl_deluser("shop")


def test_a_user_who_may_only_what_is_needed(client, server):
    RedisQueue("default", {"url": server.url}).clear()  # other tests have enqueued jobs under this prefix
    commands = ["+@read", "+@write", "+@fast", "+@scripting", "+@blocking", "+@connection", "-@dangerous", "-@admin"]
    client.acl_setuser("shop", enabled=True, passwords=["+p"], keys=["django-loco:*"], commands=commands)
    try:
        queue = RedisQueue("default", {"url": server.url.replace("://", "://shop:p@")})
        queue.enqueue([job()])
        assert queue.wait(1)
        assert len(queue.fetch(CLAIM)) == 1
        assert list(queue.check()) == []
        queue.close()
    finally:
        client.acl_deluser("shop")


def test_the_error_names_all_that_a_user_needs(shop, server):
    RedisQueue("default", {"url": server.url}).clear()  # other tests have enqueued jobs under this prefix
    queue = shop(*re.findall(r"\+[@a-z]+", REMEDIES["no permissions to run"]))
    queue.enqueue([job()])
    assert queue.wait(1)
    [held] = queue.fetch(CLAIM)
    assert queue.clock() > 0
    assert queue.answers()
    assert queue.finish([Outcome.released(held)]) == set()
    assert list(queue.check()) == []
    queue.close()


@pytest.mark.parametrize("command", ["INFO", "CLIENT", "CONFIG"])
def test_a_disabled_command_that_is_not_needed(command):
    with RedisServer(*IN_MEMORY, "--rename-command", command, "") as server:
        queue = RedisQueue("default", {"url": server.url})
        queue.enqueue([job()])
        assert queue.wait(1)
        assert len(queue.fetch(CLAIM)) == 1
        assert not any(message.id == "loco.W005" for message in queue.check())
        queue.enqueue([job(run_after=utcnow() + timedelta(seconds=0.3))])
        queue.fetch(CLAIM)
        assert queue.wait(5), "it becomes due"
        queue.close()


@pytest.mark.parametrize("also", [(), ("--rename-command", "INFO", "")])
@pytest.mark.parametrize("command", ["EVAL", "EVALSHA"])
def test_a_disabled_command_that_is_needed(command, also):
    with RedisServer(*IN_MEMORY, "--rename-command", command, "", *also) as server:
        queue = RedisQueue("default", {"url": server.url})
        with pytest.raises(QueueUnavailable) as caught:
            queue.enqueue([job()])
        said = str(caught.value).partition("now: ")[2]
        assert said == (
            f"unknown command '{command}'. django-loco needs this command, and the server has it disabled or renamed "
            "(rename-command): enable it there."
        )
        [message] = queue.check()
        assert said in message.msg


@pytest.fixture
def shop(client, server):
    """Return a queue of a user who may do what the test says."""

    def shop(*commands: str, keys: str = "django-loco:*") -> RedisQueue:
        client.acl_setuser("shop", enabled=True, passwords=["+p"], keys=[keys], commands=[*commands])
        return RedisQueue("default", {"url": server.url.replace("://", "://shop:p@")})

    yield shop
    client.acl_deluser("shop")


def test_commands_that_are_refused_inside_a_script_are_named(shop):
    queue = shop("+@all", "-zadd", "-hset")
    with unavailable(r"can't run this command.*Its ACL must allow this user \+hset \+zadd\."):
        queue.enqueue([job()])
    (message,) = (found for found in queue.check() if found.id == "loco.W005")
    assert "refuses commands that scripts use: HSET, ZADD." in message.msg
    assert message.hint == "Allow this user +hset +zadd."


def test_keys_that_are_refused_are_named(shop):
    queue = shop("+@all", keys="shop:*")
    with unavailable(r"Its ACL must allow this user the keys of django-loco: ~django-loco:\{default\}:\*"):
        queue.enqueue([job()])
    assert "~django-loco:{default}:*" in queue.check()[0].msg


def test_the_check_tries_every_command_of_the_scripts_and_leaves_nothing(queue, client):
    texts = "".join(path.read_text() for path in redis_scripts.FOLDER.glob("*.lua"))
    used = set(re.findall(r"(?:redis\.call|send)\(\s*'([A-Z]+)'", texts))
    assert used == {command.split()[0] for command in redis_scripts.COMMANDS}
    assert queue.server.probe() == ([], "")
    assert client.keys("*probe:[hs]*") == []
    assert 0 < client.pttl("django-loco:{default}:probe:text") <= 1000


OURS = exceptions.RedisError, exceptions.RedisClusterException, exceptions.ChildDeadlockedError
KINDS = [kind for kind in vars(exceptions).values() if isinstance(kind, type) and issubclass(kind, OURS)]
REPLIES = [
    "LOADING Redis is loading the dataset in memory",
    "READONLY You can't write against a read only replica.",
    "MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.",
    "CLUSTERDOWN The cluster is down",
    "NOAUTH Authentication required.",
    "NOPERM this user has no permissions to run the 'hset' command",
    "OOM command not allowed when used memory > 'maxmemory'.",
    "MISCONF Redis is configured to save RDB snapshots, but it is currently unable to persist on disk.",
    "NOREPLICAS Not enough good replicas to write.",
    "TRYAGAIN Multiple keys request during rehashing of slot",
    "UNKILLABLE Sorry the script already executed write commands against the dataset.",
    "ERR max request size exceeded",
]


def raising(error):
    def raise_it(*command, **options):
        raise error

    return raise_it


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_whatever_the_client_raises_is_unavailable(queue, monkeypatch, kind):
    error = kind.__new__(kind)
    Exception.__init__(error, "something")
    monkeypatch.setattr(ROUND_TRIP, raising(error))
    with unavailable(""):
        queue.finish([Outcome(job=job(token="t"), status=SUCCESSFUL)])


@pytest.mark.parametrize("reply", REPLIES, ids=lambda reply: reply.split()[0])
def test_whatever_the_server_replies_is_unavailable(queue, monkeypatch, reply):
    monkeypatch.setattr(ROUND_TRIP, raising(exceptions.ResponseError(reply)))
    for call in (lambda: queue.finish([Outcome(job=job(token="t"), status=SUCCESSFUL)]), lambda: queue.fetch(CLAIM)):
        with unavailable(reply.split()[0]):
            call()


def test_a_server_that_takes_less_than_it_is_sent(queue, client):
    client.config_set("proto-max-bulk-len", 2**20)
    try:
        with unavailable("It was sent 2,000,[0-9]+ bytes; its proto-max-bulk-len may be smaller"):
            queue.enqueue([job(arguments='["' + 2_000_000 * "x" + '"]')])
    finally:
        client.config_set("proto-max-bulk-len", 2**29)
    assert queue.enqueue([job()])


def test_an_old_server(queue, monkeypatch):
    monkeypatch.setattr(queue.server.client, "info", lambda section: {"redis_version": "6.0.16"})
    queue.server._is_known = False
    with unavailable("it is Redis 6.0.16, and django-loco needs 6.2 or later"):
        queue.enqueue([job()])


def test_keys_that_are_somebody_elses(queue, client):
    client.set("django-loco:{default}:ready", "a text")
    with unavailable("WRONGTYPE.*Something else uses our keys"):
        queue.enqueue([job()])
    queue.clear()


def test_a_cluster_that_goes_away():
    with RedisServer("--cluster-enabled", "yes", *IN_MEMORY) as server:
        with server.client() as client:
            client.execute_command("CLUSTER", "ADDSLOTS", *range(16384))
            until(lambda: client.cluster("INFO")["cluster_state"] == "ok")
        queue = RedisQueue("default", {"url": server.url, "cluster": True})
        queue.enqueue([job()])
        server.kill()
        for call in (lambda: queue.enqueue([job()]), lambda: queue.fetch(CLAIM), lambda: queue.wait(0.1), queue.counts):
            with unavailable(""):
                call()
        with unavailable("Start it, or correct its address. The Cluster may be fine: name several of its members"):
            RedisQueue("default", {"url": server.url, "cluster": True}).counts()


def redis_cache(location, **options):
    return {"BACKEND": REDIS, "LOCATION": location, "OPTIONS": options}


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"cache": "jobs"}, r"\['cache'\] is 'jobs', which is not in CACHES.*Did you mean 'job'"),
        ({"cache": "memory"}, "CACHES\\['memory'\\], whose backend is .*LocMemCache; it must be django_redis"),
        ({"cache": "django"}, "CACHES\\['django'\\], whose backend is .*django.core.cache.backends.redis.RedisCache"),
        ({"cache": "broken"}, "CACHES\\['broken'\\].*no_such_module"),
        ({"cache": 5}, r"\['cache'\] is 5, which is not in CACHES"),
        ({"cache": "nowhere"}, "CACHES\\['nowhere'\\]: Missing connections string"),
        ({"cache": "bare"}, "CACHES\\['bare'\\]: Redis URL must specify"),
        ({"cache": "sentinel"}, "CACHES\\['sentinel'\\]: .*CONNECTION_POOL_CLASS is not configured correctly"),
        ({"cache": "shards"}, "CACHES\\['shards'\\], which spreads keys over several servers"),
        ({"cache": "typo"}, "CACHES\\['typo'\\]: .*NoSuchClient"),
        ({}, r"CACHES\['default'\], whose backend"),
        ({"url": "localhost:6379"}, r"\['url'\] is not the URL of a Redis: .*\. Write redis://user:password@host"),
        ({"url": "redis://localhost:port"}, r"\['url'\] is not the URL of a Redis: The port is not a number"),
        (
            {"url": "redis://localhost?timeout=1"},
            r"\['url'\] is not the URL of a Redis.*unexpected keyword argument 'timeout'",
        ),
        ({"cache": "keyword"}, r"CACHES\['keyword'\]: .*unexpected keyword argument 'timeout'"),
        ({"url": "redis://localhost/x"}, "What follows the host is not the number of a database"),
        ({"url": "redis://localhost/0x"}, "What follows the host is not the number of a database"),
        ({"url": "redis://localhost/2/secret"}, "What follows the host is not the number of a database"),
        ({"url": "redis://localhost/3", "cluster": True}, "A Cluster has only database 0"),
        ({"url": "unix:///run/redis.sock", "cluster": True}, "A Cluster has only database 0, and no socket"),
        (
            {"url": ["redis://a", "redis://b"]},
            "is a list, as for members of a Cluster. Write one URL, or 'cluster': True",
        ),
        ({"url": [], "cluster": True}, r"\['url'\] is not the URL of a Redis"),
        ({"url": ["redis://a", "redis://b/3"], "cluster": True}, "A Cluster has only database 0"),
        ({"url": "redis+sentinel://localhost/0"}, r"For Sentinel name a cache .* in OPTIONS\['cache'\]\.$"),
        ({"url": "redis-cluster://localhost"}, "Write redis://host:6379, and 'cluster': True"),
        ({"cache": "pool"}, "Set DJANGO_REDIS_CONNECTION_FACTORY = .django_redis.pool.SentinelConnectionFactory"),
        ({"url": None}, r"\['url'\] is not the URL of a Redis"),
        ({"url": "redis://localhost", "cache": "job"}, "has both 'cache' and 'url'"),
        ({"cache": "job", "max_results": "many"}, r"\['max_results'\] is 'many'"),
    ],
)
def test_wrong_options(options, words, settings):
    settings.CACHES = {
        "default": {"BACKEND": "django.core.cache.backends.dummy.DummyCache"},
        "job": {"BACKEND": REDIS, "LOCATION": "redis://localhost"},
        "memory": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"},
        "django": {"BACKEND": "django.core.cache.backends.redis.RedisCache", "LOCATION": "redis://localhost"},
        "broken": {"BACKEND": "no_such_module.Cache"},
        "nowhere": {"BACKEND": REDIS},
        "bare": {"BACKEND": REDIS, "LOCATION": "localhost:6379"},
        "sentinel": redis_cache("redis://main/0", CLIENT_CLASS="django_redis.client.SentinelClient"),
        "pool": redis_cache("redis://pool/0", CONNECTION_POOL_CLASS="redis.sentinel.SentinelConnectionPool"),
        "shards": redis_cache(["redis://a", "redis://b"], CLIENT_CLASS="django_redis.client.ShardClient"),
        "typo": redis_cache("redis://localhost", CLIENT_CLASS="django_redis.client.NoSuchClient"),
        "keyword": redis_cache("redis://localhost", CONNECTION_POOL_KWARGS={"timeout": 1}),
    }
    with pytest.raises(LocoConfigurationError, match=f"TASKS\\['shop'\\].*{words}") as raised:
        RedisQueue("shop", options)
    assert str(raised.value).count("keeps jobs in") <= 1


@pytest.mark.parametrize("url", ["reddis://user:secret@host", "redis://user:secret/1@host"])
@pytest.mark.parametrize("by_cache", [False, True])
def test_a_wrong_url_does_not_give_its_password_away(settings, url, by_cache):
    settings.CACHES = {"default": redis_cache(url)}
    with pytest.raises(LocoConfigurationError) as caught:
        RedisQueue("default", {"cache": "default"} if by_cache else {"url": url})
    shown = "".join(traceback.format_exception(caught.value))
    assert "secret" not in shown


def test_sites_with_prefixes_of_their_own_share_a_server(server, settings):
    settings.CACHES = {"default": {"BACKEND": REDIS, "LOCATION": server.url, "KEY_PREFIX": "shop"}}
    queues = [RedisQueue("default", options) for options in ({}, {"prefix": "blog"}, {"url": server.url})]
    for queue in queues:
        queue.clear()
        queue.enqueue([job()])
    assert [len(queue.fetch(CLAIM)) for queue in queues] == [1, 1, 1]


def test_other_settings_make_another_queue(server, settings):
    settings.CACHES = {"default": {"BACKEND": REDIS, "LOCATION": server.url}}
    settings.TASKS = {"default": {"BACKEND": "django_loco.backend.LocoBackend", "OPTIONS": {"queue": "redis"}}}
    first = queue_for("default")
    assert isinstance(first, RedisQueue)
    assert first.database is None
    settings.CACHES = {"default": {"BACKEND": REDIS, "LOCATION": server.url, "KEY_PREFIX": "other"}}
    assert queue_for("default") is not first


@pytest.mark.parametrize("path", ["", "/", "/0", "/0/", "?db=0", "/0?max_connections=50"])
def test_the_number_of_the_database_may_be_left_out(server, path):
    queue = RedisQueue("default", {"url": f"redis://127.0.0.1:{server.port}{path}"})
    assert queue.counts() is not None
    assert queue.examiner(queue).address == f"Redis at 127.0.0.1:{server.port}/0"


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("redis://:secret@/4", "localhost:6379/4"),
        ("redis://127.0.0.1:1?db=1", "127.0.0.1:1/1"),
        ("unix://:secret@/run/redis.sock?db=3", "/run/redis.sock, database 3"),
        ("unix:///run/redis.sock", "/run/redis.sock"),
    ],
)
def test_the_address_has_the_database_that_is_used(url, address):
    queue = RedisQueue("default", {"url": url})
    assert queue.examiner(queue).address == f"Redis at {address}"


def test_the_address_of_a_cache_whose_client_has_no_pool(server, settings, monkeypatch):
    settings.CACHES = {"default": redis_cache(server.url)}
    monkeypatch.setattr("django_loco.queues.redis.connections.client.get_redis_connection", lambda cache: object())
    queue = RedisQueue("default", {})
    assert queue.examiner(queue).address == "Redis at CACHES['default']"


@pytest.mark.parametrize(
    ("end", "words"),
    [
        ("/999", r"out of range. Correct the number of the database in TASKS\['default'\]\['OPTIONS'\]\['url'\]"),
        ("/0?max_connections=1", r"Too many connections. Raise max_connections in TASKS\['default'\]\['OPTIONS'\]"),
    ],
)
def test_the_remedy_names_the_setting(server, end, words):
    queue = RedisQueue("default", {"url": f"redis://127.0.0.1:{server.port}{end}"})
    with unavailable(words), queue.server.explained():
        queue.server.client.connection_pool.get_connection()
        queue.enqueue([job()])


@pytest.mark.parametrize("url", ["unix:///run/none.sock", "unix://run/none.sock"])
def test_a_socket_that_is_not_there(url):
    with unavailable("No such file.*correct the path, which has three slashes"):
        RedisQueue("default", {"url": url}).counts()


def test_a_member_of_a_cluster_that_is_not_named_as_one(queue, monkeypatch):
    monkeypatch.setattr(ROUND_TRIP, raising(exceptions.MovedError("5718 host:8411")))
    with unavailable(r"of a Cluster sends us to 5718 host:8411. Name it .* set OPTIONS\['cluster'\] to True"):
        queue.counts()


def test_a_server_that_is_no_cluster(server):
    with unavailable("Cluster mode is not enabled on this node. Remove 'cluster' from OPTIONS"):
        RedisQueue("default", {"url": server.url, "cluster": True}).counts()


def test_a_sentinel_is_no_server_of_jobs(tmp_path):
    file = tmp_path / "sentinel.conf"
    file.touch()
    with (
        RedisServer("--sentinel", configuration=file) as sentinel,
        unavailable(r"unknown command 'EVALSHA'\. It is a Sentinel: name a cache with SentinelClient in"),
    ):
        RedisQueue("default", {"url": sentinel.url}).enqueue([job()])


@pytest.fixture
def sentinel(server, tmp_path, settings):
    """A Sentinel that watches the server as ``primary``, and a cache that asks it."""
    file = tmp_path / "sentinel.conf"
    file.write_text(f"sentinel monitor primary 127.0.0.1 {server.port} 1\n")
    with RedisServer("--sentinel", configuration=file) as sentinel:
        settings.DJANGO_REDIS_CONNECTION_FACTORY = "django_redis.pool.SentinelConnectionFactory"
        settings.CACHES = sentinel_caches(sentinel.port, {"primary": "primary", "other": "other"})
        yield sentinel


def test_sentinel(sentinel, server):
    queue = RedisQueue("default", {"cache": "primary"})
    assert queue.examiner(queue).address == "Redis at the primary of 'primary' (not yet known), database 0"
    queue.enqueue([job()])
    primary = f"127.0.0.1:{server.port}"
    assert queue.examiner(queue).address == f"Redis at the primary of 'primary' (now {primary}), database 0"


def test_a_service_that_sentinel_does_not_know(sentinel):
    said = "No master found for 'other'. Correct the name of the service or SENTINELS"
    with pytest.raises(QueueUnavailable, match=said):
        RedisQueue("default", {"cache": "other"}).counts()
    sentinel.kill()
    with pytest.raises(QueueUnavailable, match=said):
        RedisQueue("default", {"cache": "other"}).counts()


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """A folder with a certificate that has signed itself, and its key."""
    folder = tmp_path_factory.mktemp("tls")
    made = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"]
    made += ["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", "key.pem", "-out", "cert.pem"]
    subprocess.run(made, cwd=folder, check=True, capture_output=True)
    return folder


@pytest.fixture(scope="module")
def port(files):
    """The port at which a server speaks TLS."""
    certificate = str(files / "cert.pem")
    options = ("--tls-cert-file", certificate, "--tls-key-file", str(files / "key.pem"))
    port = free_port()
    with RedisServer(*options, "--tls-ca-cert-file", certificate, "--tls-port", str(port)):
        yield port


class TestTLS:
    def asked(self, url):
        return RedisQueue("default", {"url": url}).counts()

    def test_an_own_ca_and_a_certificate_of_the_client(self, port, files):
        ends = f"ssl_ca_certs={files}/cert.pem&ssl_certfile={files}/cert.pem&ssl_keyfile={files}/key.pem"
        assert self.asked(f"rediss://127.0.0.1:{port}?{ends}") == {}

    def test_a_certificate_that_nobody_knows(self, port):
        with unavailable("CERTIFICATE_VERIFY_FAILED.*Give ssl_ca_certs"):
            self.asked(f"rediss://127.0.0.1:{port}")

    def test_a_server_that_wants_a_certificate(self, port, files):
        with unavailable("if it wants a certificate, give ssl_certfile|give ssl_certfile and ssl_keyfile"):
            self.asked(f"rediss://127.0.0.1:{port}?ssl_ca_certs={files}/cert.pem")

    def test_a_file_that_is_not_there(self, port, files):
        with unavailable(rf"There is no file {files}/none.pem \(ssl_ca_certs\)"):
            self.asked(f"rediss://127.0.0.1:{port}?ssl_ca_certs={files}/none.pem")

    def test_a_port_that_speaks_tls(self, port):
        with unavailable("If it speaks TLS at this port, write rediss://"):
            self.asked(f"redis://127.0.0.1:{port}")

    def test_a_port_that_does_not(self, server):
        with unavailable("If it does not speak TLS at this port, write redis://"):
            self.asked(f"rediss://127.0.0.1:{server.port}?socket_connect_timeout=0.3&socket_timeout=0.3")


class TestCheck:
    """``manage.py check``."""

    @pytest.fixture(autouse=True)
    def restored(self, client):
        before = {name: client.config_get(name)[name] for name in ("maxmemory-policy", "appendonly", "save")}
        yield
        for name, value in before.items():
            client.config_set(name, value)

    def ids(self, queue):
        return [message.id for message in queue.check()]

    def test_a_server_set_up_for_jobs(self, queue, client):
        client.config_set("appendonly", "yes")
        assert self.ids(queue) == []

    def test_snapshots_are_persistence_too(self, queue, client):
        client.config_set("save", "3600 1")
        assert self.ids(queue) == []

    def test_a_server_in_memory(self, queue):
        assert self.ids(queue) == ["loco.I001"]

    def test_a_server_that_evicts(self, queue, client):
        client.config_set("maxmemory-policy", "allkeys-lru")
        [message, _] = queue.check()
        assert message.id == "loco.W006"
        assert "'allkeys-lru'" in message.msg
        assert "noeviction" in message.hint

    def test_a_server_that_evicts_what_expires(self, queue, client):
        client.config_set("maxmemory-policy", "volatile-lru")
        [message, _] = queue.check()
        assert message.msg.endswith("when it is full it deletes statistics and the last answers to workers.")

    def test_a_server_that_is_full(self, queue, client):
        client.config_set("maxmemory", "1")
        try:
            [message, _] = queue.check()
        finally:
            client.config_set("maxmemory", "0")
        assert message.id == "loco.W005"
        assert "It is full: loco_jobs delete" in message.msg

    def test_a_replica(self, queue, client):
        client.replicaof("127.0.0.1", free_port())
        try:
            [message, _] = queue.check()
        finally:
            client.replicaof("no", "one")
        assert message.id == "loco.W005"
        assert "It is a replica now" in message.msg

    def test_a_pool_that_is_too_small(self, server, settings):
        settings.LOCO = {"NUM_WORKERS": 8}
        [message, _] = RedisQueue("default", {"url": f"{server.url}?max_connections=11"}).check()
        assert message.id == "loco.W002"
        assert "holds 11 connections; a worker wants up to 12 (NUM_WORKERS + 4)" in message.msg
        assert "Set its max_connections to 12 or more, or LOCO['NUM_WORKERS'] to 7." in message.hint
        assert self.ids(RedisQueue("default", {"url": f"{server.url}?max_connections=12"})) == ["loco.I001"]

    def test_manage_py_check_asks_the_queue(self, server, client, settings, db):
        client.config_set("maxmemory-policy", "allkeys-lru")
        settings.TASKS = server.setting()
        assert {"loco.W006", "loco.I001"} <= {message.id for message in run_checks(tags=["loco"])}

    def test_a_server_that_is_not_there(self):
        queue = RedisQueue("default", {"url": f"redis://127.0.0.1:{free_port()}"})
        [message] = queue.check()
        assert message.id == "loco.W005"
        assert "Connection refused" in message.msg
