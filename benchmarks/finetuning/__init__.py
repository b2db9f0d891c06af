"""Ways of fine-tuning the BERT: what each is worth, and what it costs."""
