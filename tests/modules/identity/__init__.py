"""Tests of identity, through its doors."""
