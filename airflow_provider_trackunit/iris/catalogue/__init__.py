"""What is documented of IRIS, as data: endpoints and limits, each row with its source. Holds no behaviour and imports nothing above it."""
