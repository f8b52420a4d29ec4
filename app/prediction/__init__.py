"""What `app predict` does once a run is built: which samples, which outputs, and into what files."""
