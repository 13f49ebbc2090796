"""Why a job does not run, or how it ended, in sentences with remedies."""
