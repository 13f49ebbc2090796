"""Pages that show how all jobs fare, for staff: ``path("jobs/", include("django_loco.urls.dashboard"))``.

1. ``pages`` has a folder for each page. Its contents are read through ``django_loco.jobs`` and the queues.
2. ``live`` answers for a page, and sends the parts that the script asks for every two seconds.
3. ``frame`` puts a page into its frame, with the navigation; ``access`` says who may see it.
4. ``actions`` is what a button changes; ``activity`` adds up the statistics, and ``chart`` draws them as SVG.
"""
