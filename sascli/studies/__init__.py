"""What is reproduced: studies, from nothing to a page of pictures and claims."""
