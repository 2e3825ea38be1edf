"""Durable stream runtime: admission, log, engine, alerts and settings."""
