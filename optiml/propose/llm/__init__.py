"""Models as proposers: what they are asked, by whom it is answered, and how an answer becomes an edit."""
