"""System checks. Each message names the setting, each hint the remedy.

loco.E001  LOCO or WORKER_MODE is wrong
loco.E002  the queue of a TASKS alias cannot be created
loco.E003  a schedule is wrong (only that one is disabled)
loco.E004  a component cannot run
loco.E005  TASKS uses the app, but the app is not installed (found by django_loco.backend)
loco.E006  two tasks have the same alias, or a task has the path of an alias (found by tasks.aliases)
loco.E007  LOCO["COMMANDS"] names a management command that does not exist
loco.E008  LOCO["CARRY"] names something that cannot carry context
loco.E009  LOCO["DASHBOARD"] names no function
loco.W001  the app is installed, but TASKS does not use it
loco.W002  a connection pool is smaller than one worker needs
loco.W003  a queue's SQLite database is not in WAL mode
loco.W004  jobs are kept in memory only, in production (--deploy)
loco.W007  a module that may declare schedules cannot be imported
loco.W008  each request starts a transaction in the SQLite file that stores the jobs
loco.W009  a schedule in the database is wrong (--database)
loco.W010  LOCO["TASKS"] has options for a task that does not exist
loco.W011  waiting jobs that no worker takes (jobs in a database: --database)
loco.W012  waiting jobs while no worker is running (--deploy)
loco.W013  stored jobs and schedules may run a management command that can run any code
loco.W014  migrations of the app are missing in a database that it uses (--database)
loco.W015  NUM_WORKERS is very high
loco.W016  a setting of LOCO stands beside it, where nothing reads it
loco.W017  locks hold within one process only, in production (--deploy)
loco.W018  jobs in memory cannot be kept when their process stops (--deploy)

Queues add checks of their store, such as ``queues.redis.check``.
"""
