"""Pages for staff about the state of all jobs: ``path("jobs/", include("django_loco.urls.dashboard"))``.

1. ``pages`` has a folder for each page. The pages read through ``django_loco.jobs`` and the queues.
2. ``live`` answers the requests for a page, and for its parts, which a script requests every two seconds.
3. ``frame`` puts a page into its frame, with the navigation; ``access`` says who may see it.
4. A form on a page goes to a view with ``posted``. ``pausing`` has the view for pauses, which several pages use.
5. ``charts`` adds up the statistics, and draws them as SVG. ``recent`` keeps values for some seconds, so that many
   viewers share one read.
"""
