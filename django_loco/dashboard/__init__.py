"""A page that shows how all jobs fare, on one screen: ``path("jobs/", include("django_loco.urls.dashboard"))``.

1. ``facts`` reads the queues, workers, statistics and schedules, through ``django_loco.jobs`` and the queues.
2. ``activity`` adds up the statistics, ``chart`` draws them as SVG, and ``health`` says in a sentence what is wrong.
3. ``views`` makes the page of them, and the parts of it that the script asks for every two seconds.
"""
