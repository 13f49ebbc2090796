"""The ground layer: values, validation, back-off, threads and other tools that the rest of the package uses."""
