"""One result: parts, checkpoint, manifest. Knows no file system: a store is whatever writes a file whole."""
