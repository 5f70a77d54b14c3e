"""The store: blobs with put-if-absent (S3, file), and the typed objects and the version chain on them."""
