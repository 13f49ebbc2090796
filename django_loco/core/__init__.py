"""What every other part of the package is built on: values, rules and small tools."""
