"""The serializers that turn messages into bytes and back."""
