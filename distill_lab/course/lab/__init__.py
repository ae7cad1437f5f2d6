"""The desk a learner works at: JupyterLab, a browser to drive it, and a doctor for both."""
