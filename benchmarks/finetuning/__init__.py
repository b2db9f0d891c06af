"""Ways of fine-tuning the BERT: quality and cost of each."""
