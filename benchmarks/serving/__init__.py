"""The service: what it adds to the engine, and what it carries beside a wrapper round another library."""
