"""Two runs compared: before and after a change, paired on the utterances that both have."""
