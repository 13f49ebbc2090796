"""Pages that show how all jobs fare, for staff: ``path("jobs/", include("django_loco.urls.dashboard"))``.

1. ``pages`` has a folder for each page. Its contents are read through ``django_loco.jobs`` and the queues.
2. ``live`` answers for a page, and sends the parts that the script asks for every two seconds.
3. ``frame`` puts a page into its frame, with the navigation; ``access`` says who may see it.
4. A form of a page goes to a view with ``posted``; ``pausing`` has the one for pauses, which several pages show.
5. ``charts`` adds up the statistics, and draws them as SVG. ``recent`` keeps for seconds what many viewers read.
"""
