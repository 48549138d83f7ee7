"""`sas reproduce STUDY`: a study from nothing to its page, a module each."""
