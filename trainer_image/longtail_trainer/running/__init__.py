"""The frame of every step: what it is handed, how it resumes, stops, reports and ends."""
