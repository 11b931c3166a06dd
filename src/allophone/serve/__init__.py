"""An operating point or a policy as a service in the shape of OpenAI's audio API."""
