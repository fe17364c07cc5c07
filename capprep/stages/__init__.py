"""What each fact is: one stage for each kind of fact."""
