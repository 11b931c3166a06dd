"""Sending each utterance to the model it needs: policies trained, calibrated and judged on other speakers."""
