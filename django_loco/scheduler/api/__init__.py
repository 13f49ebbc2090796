"""What ``from django_loco import scheduler`` offers."""
