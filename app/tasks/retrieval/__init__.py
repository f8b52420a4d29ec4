"""Finding images of the same digit by their embeddings, learnt from pairs, from triplets or without any labels."""
