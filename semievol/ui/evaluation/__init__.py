"""The Evaluation page: models side by side, playground, exports."""
