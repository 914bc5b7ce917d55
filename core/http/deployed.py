"""The deployment of the app that answers this request."""

from flask import current_app

from core.deployment import Deployment
from core.settings import Settings


def deployment() -> Deployment:
    return current_app.extensions["stockade"]


def settings() -> Settings:
    return deployment().settings
